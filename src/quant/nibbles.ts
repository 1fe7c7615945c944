/** Codes of 4 bits, two a byte, the first of each pair in the low half. */
export function packPairs(codes: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(codes.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = codes[2 * i]! | (codes[2 * i + 1]! << 4);
  return bytes;
}

/** Codes of `packPairs`, one a byte. */
export function unpackPairs(bytes: Uint8Array): Uint8Array {
  const codes = new Uint8Array(2 * bytes.length);
  for (let i = 0; i < bytes.length; i++) {
    codes[2 * i] = bytes[i]! & 15;
    codes[2 * i + 1] = bytes[i]! >> 4;
  }
  return codes;
}

/** Codes of 4 bits, two a byte: the first half of all codes in the low halves, the second in the high ones. */
export function packHalves(codes: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(codes.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = codes[i]! | (codes[bytes.length + i]! << 4);
  return bytes;
}
