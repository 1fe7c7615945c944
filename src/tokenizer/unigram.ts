/** What a piece is, in the numbering of sentencepiece_model.proto (byte pieces, 6, are not supported). */
export const PIECE_KIND = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5 } as const;
export type PieceKind = (typeof PIECE_KIND)[keyof typeof PIECE_KIND];

export interface Piece {
  readonly text: string;
  /** Logarithm of the piece's probability; float32. */
  readonly score: number;
  readonly kind: PieceKind;
}

/** A vocabulary ready to segment text with. */
export interface Unigram {
  /** Number of pieces; ids are 0 .. size-1. */
  readonly size: number;
  readonly unknownId: number;
  /** Ids by text, of every kind of piece. */
  readonly ids: ReadonlyMap<string, number>;
  /** Pieces that text is cut into: the normal and the user-defined ones. */
  readonly scored: ReadonlyMap<string, { readonly id: number; readonly score: number }>;
  /** Length of the longest such piece in UTF-16 units. */
  readonly longest: number;
  readonly unknownScore: number;
}

/** A stretch of text [start, end) in UTF-16 units and its id. */
export interface Segment {
  readonly id: number;
  readonly start: number;
  readonly end: number;
}

/** SentencePiece's constants: an unknown character costs this much more than the rarest piece. */
const UNKNOWN_PENALTY = 10;
const USER_DEFINED_DISCOUNT = 0.1;

/**
 * Orders `pieces` (their place is their id) for segmentation.
 * @throws RangeError with what is wrong in the list
 */
export function unigram(pieces: readonly Piece[]): Unigram {
  const ids = new Map<string, number>();
  let lowest = Number.POSITIVE_INFINITY;
  let highest = Number.NEGATIVE_INFINITY;
  for (const [id, { text, score, kind }] of pieces.entries()) {
    if (text === "" || ids.has(text)) throw new RangeError(`piece ${id} "${text}", empty or twice there`);
    if (!Number.isFinite(score)) throw new RangeError(`piece ${id} "${text}" with score ${score}`);
    ids.set(text, id);
    if (kind === PIECE_KIND.normal) {
      lowest = Math.min(lowest, score);
      highest = Math.max(highest, score);
    }
  }
  const unknownId = pieces.findIndex(({ kind }) => kind === PIECE_KIND.unknown);
  if (unknownId < 0) throw new RangeError("no piece for unknown text");
  if (lowest > highest) throw new RangeError("no normal piece");
  const scored = new Map<string, { id: number; score: number }>();
  let longest = 0;
  for (const [id, { text, score, kind }] of pieces.entries()) {
    if (kind !== PIECE_KIND.normal && kind !== PIECE_KIND.userDefined) continue;
    const bytes = new TextEncoder().encode(text).length;
    const own = kind === PIECE_KIND.normal ? score : Math.fround(bytes * highest) - USER_DEFINED_DISCOUNT;
    scored.set(text, { id, score: own });
    longest = Math.max(longest, text.length);
  }
  return {
    size: pieces.length,
    unknownId,
    ids,
    scored,
    longest,
    unknownScore: Math.fround(lowest - UNKNOWN_PENALTY),
  };
}

/**
 * The most probable segmentation (Viterbi), neighbouring unknown characters joined to one segment. Ties and
 * float32 rounding are resolved as sentencepiece does: sums are kept in float32, the earlier start wins.
 * @param text normalised text, well-formed UTF-16
 */
export function segment(model: Unigram, text: string): readonly Segment[] {
  const scores = new Float32Array(text.length + 1);
  const starts = new Int32Array(text.length + 1).fill(-1);
  const ids = new Int32Array(text.length + 1);
  const offer = (start: number, end: number, id: number, score: number): void => {
    const sum = Math.fround(scores[start]! + score);
    if (starts[end] !== -1 && sum <= scores[end]!) return;
    scores[end] = sum;
    starts[end] = start;
    ids[end] = id;
  };
  for (let start = 0; start < text.length; ) {
    const next = start + (text.codePointAt(start)! > 0xffff ? 2 : 1);
    for (let end = next; end <= Math.min(text.length, start + model.longest); end++) {
      const piece = model.scored.get(text.slice(start, end));
      if (piece !== undefined) offer(start, end, piece.id, piece.score);
    }
    if (!model.scored.has(text.slice(start, next))) offer(start, next, model.unknownId, model.unknownScore);
    start = next;
  }
  return backtrack(model, starts, ids);
}

function backtrack(model: Unigram, starts: Int32Array, ids: Int32Array): readonly Segment[] {
  const reversed: Segment[] = [];
  for (let end = starts.length - 1; end > 0; end = starts[end]!) {
    const id = ids[end]!;
    const after = reversed.at(-1);
    if (id === model.unknownId && after?.id === id) {
      reversed[reversed.length - 1] = { id, start: starts[end]!, end: after.end };
    } else {
      reversed.push({ id, start: starts[end]!, end });
    }
  }
  return reversed.reverse();
}
