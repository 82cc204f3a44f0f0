/** Numbers, sizes and times for people. */

/** `3 d`, `2 h`, `5 min`, `12 s` since a time; empty for none. */
export function ageText(time: string | null | undefined, now: number): string {
  if (!time) return "";
  return spanText(Math.max(0, now - Date.parse(time)));
}

/** `in 12 min`, or `4 min ago`. */
export function relativeText(time: string | null | undefined, now: number): string {
  if (!time) return "";
  const left = Date.parse(time) - now;
  return left >= 0 ? `in ${spanText(left)}` : `${spanText(-left)} ago`;
}

function spanText(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 90) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h` : `${Math.floor(hours / 24)} d`;
}

export function bytesText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ["kB", "MB", "GB", "TB"];
  let value = bytes / 1000;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${units[unit] ?? ""}`;
}

export function countOf(value: number): string {
  return value.toLocaleString("en");
}

/** Hundredths of a percent: 2500 is `25 %`. */
export function weightText(hundredths: number): string {
  return `${(hundredths / 100).toFixed(2).replace(/\.?0+$/, "")} %`;
}

export function percentText(ratio: number, digits = 1): string {
  return `${(ratio * 100).toFixed(digits)} %`;
}

export function signedPercentText(ratio: number, digits = 1): string {
  return `${ratio > 0 ? "+" : ""}${percentText(ratio, digits)}`;
}

export function shortDigest(digest: string): string {
  return digest.slice(0, 12);
}
