// What the service says when something does not work, in words for a reader.

/** An answer that is a problem (RFC 9457). */
export class Problem extends Error {
  /** What is wrong, and the type of the problem where the service says it. */
  constructor(message, type) {
    super(message);
    this.isDamage = type === "urn:lucid:problem:damaged";
  }
}

/** The answer, if it is a good one; else throws a `Problem`. */
export async function good(response) {
  if (response.ok) return response;
  const { title, detail, type, errors = [] } = await response.json().catch(() => ({}));
  const words = [title ?? `The service answered ${response.status}`, detail];
  words.push(...errors.map(({ name, reason }) => `${name}: ${reason}`));
  throw new Problem(words.filter(Boolean).join(". "), type);
}

/** An error in a sentence. */
export function explain(error) {
  if (error instanceof Problem) return error.message;
  if (error instanceof TypeError) return "The service does not answer. Is it running?";
  return `This does not work: ${error.message}`;
}
