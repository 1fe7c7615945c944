import type { Language } from "./messages/mod.ts";

const BYTE_UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"] as const;

/** "1.23 GB", in units of a thousand. */
export function formatBytes(bytes: number, language: Language): string {
  const power = bytes < 1 ? 0 : Math.min(BYTE_UNITS.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** power;
  return new Intl.NumberFormat(language, {
    style: "unit",
    unit: BYTE_UNITS[power]!,
    unitDisplay: "short",
    maximumSignificantDigits: 3,
    roundingPriority: "morePrecision",
    maximumFractionDigits: 0,
  }).format(value);
}

/** "8 sec", "14 min", "2 hr 5 min": as exact as a person wants to know. */
export function formatDuration(seconds: number, language: Language): string {
  const unit = (name: "second" | "minute" | "hour", value: number) =>
    new Intl.NumberFormat(language, { style: "unit", unit: name, unitDisplay: "short" }).format(value);
  const whole = Math.ceil(seconds);
  if (whole < 60) return unit("second", whole);
  const minutes = Math.floor(whole / 60);
  if (whole < 600) return `${unit("minute", minutes)} ${unit("second", whole % 60)}`;
  if (minutes < 60) return unit("minute", minutes);
  return `${unit("hour", Math.floor(minutes / 60))} ${unit("minute", minutes % 60)}`;
}

/** Whole numbers with the language's separators. */
export function formatCount(value: number, language: Language): string {
  return new Intl.NumberFormat(language).format(value);
}
