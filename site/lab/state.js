// What can be chosen, and its place in the page's address.

import { FAULTS } from "./engine.js";

export const CHOICES = {
  data: { of: ["digits", "ring"], start: "digits" },
  z: { of: [1, 2, 4, 8], start: 2 },
  beta: { low: 0, high: 32, start: 1 },
  rate: { low: 0.0001, high: 0.1, start: 0.003 },
  batch: { of: [1, 8, 32, 128], start: 32 },
  sigma: { low: 0.02, high: 1, start: 0.1 },
  fault: { of: FAULTS, start: "none" },
  seed: { low: 0, high: 999, start: 0, whole: true },
  card: { low: 0, high: 8, start: 0, whole: true },
};

/** A value as the choice takes it, or its start where the text is none of them. */
export function parse(name, text) {
  const choice = CHOICES[name];
  if (choice.of) return choice.of.find((one) => String(one) === text) ?? choice.start;
  const value = Number(text);
  if (text === "" || !Number.isFinite(value)) return choice.start;
  const inside = Math.min(choice.high, Math.max(choice.low, value));
  return choice.whole ? Math.round(inside) : inside;
}

/** "#z=2&beta=4" -> every setting; what is missing or wrong gets its start. */
export function fromAddress(hash) {
  const given = new URLSearchParams(hash.replace(/^#/, ""));
  return Object.fromEntries(
    Object.entries(CHOICES).map(([name, { start }]) => [
      name,
      given.has(name) ? parse(name, given.get(name)) : start,
    ])
  );
}

/** Settings -> "#z=4&beta=4": only what is not at its start. */
export function toAddress(settings) {
  const changed = Object.entries(settings).filter(
    ([name, value]) => value !== CHOICES[name].start
  );
  return `#${new URLSearchParams(changed)}`;
}
