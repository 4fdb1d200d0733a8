// The text of a cast, as far as it is whole.

import { isRelative } from "./clock.js";
import { good } from "./problems.js";

/**
 * Asks for a recording as a whole and, where that breaks off because something is damaged, for what is left of it chunk
 * by chunk.
 *
 * Sizes are in bytes. Returns the text, of which only whole lines are kept, and whether something is missing. Where
 * times count from the event before, it ends where something is missing: nobody knows how late it was after that.
 */
export async function download(url, { chunkSize, length }) {
  const begin = await read(await good(await fetch(url)));
  const pieces = [{ offset: 0, bytes: begin }];
  for (let offset = begin.length, end; offset < length; offset = end) {
    end = Math.min((Math.floor(offset / chunkSize) + 1) * chunkSize, length);
    const bytes = await readWhole(url, offset, end);
    if (bytes) pieces.push({ offset, bytes });
  }
  return joined(pieces, length);
}

/** As many bytes of a response as come. */
async function read({ body }) {
  const parts = [];
  try {
    for await (const part of body) parts.push(part);
  } catch {
    // It was broken off.
  }
  return bytesOf(new Blob(parts));
}

/** The bytes from an offset up to another one; nothing if they are damaged. */
async function readWhole(url, offset, end) {
  try {
    const response = await good(await fetch(url, { headers: { Range: `bytes=${offset}-${end - 1}` } }));
    return await bytesOf(response);
  } catch (error) {
    if (error.isDamage) return undefined;
    throw error;
  }
}

async function bytesOf(source) {
  return new Uint8Array(await source.arrayBuffer());
}

function joined(pieces, length) {
  const decoder = new TextDecoder();
  const stream = { stream: true };
  let [text, end, missing] = ["", 0, false];
  for (const { offset, bytes } of pieces) {
    if (offset > end) {
      missing = true;
      if (isRelative(text)) break;
      text = wholeLines(text + decoder.decode());
      const piece = decoder.decode(bytes, stream);
      text += piece.slice(piece.indexOf("\n") + 1);
    } else {
      text += decoder.decode(bytes, stream);
    }
    end = offset + bytes.length;
  }
  return end < length ? { text: wholeLines(text), missing: true } : { text: text + decoder.decode(), missing };
}

function wholeLines(text) {
  return text.slice(0, text.lastIndexOf("\n") + 1);
}
