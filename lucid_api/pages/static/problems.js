// What the service says when something does not work, in words for a reader.

/** An answer that is a problem (RFC 9457). */
export class Problem extends Error {}

/** The answer, if it is a good one; else throws a `Problem`. */
export async function good(response) {
  if (response.ok) return response;
  const document = await response.json().catch(() => ({}));
  const errors = (document.errors ?? []).map(({ name, reason }) => `${name}: ${reason}`);
  throw new Problem([document.title ?? `The service answered ${response.status}`, document.detail, ...errors].filter(Boolean).join(". "));
}

/** An error in a sentence. */
export function explain(error) {
  if (error instanceof Problem) return error.message;
  if (error instanceof TypeError) return "The service does not answer. Is it running?";
  return `This does not work: ${error.message}`;
}
