// The text of a cast, as far as it is whole.

import { isRelative } from "./clock.js";
import { good } from "./problems.js";

/**
 * Asks for a recording from its beginning, and where a chunk is damaged from the next one on.
 *
 * Sizes are in bytes. Returns the text, of which only whole lines are kept, and whether something is missing. Where
 * times count from the event before, it ends where something is missing: nobody knows how late it was after that.
 */
export async function download(url, { chunkSize, length }) {
  const pieces = [];
  let offset = 0;
  do {
    const { bytes, trouble } = await read(url, offset);
    if (bytes.length) pieces.push({ offset, bytes });
    offset += bytes.length;
    if (trouble && !bytes.length) {
      if (!offset || !trouble.isDamage) throw trouble;
      offset = (Math.floor(offset / chunkSize) + 1) * chunkSize;
    }
  } while (offset < length);
  return joined(pieces, length);
}

/** As many bytes as come from an offset on, and why there are no more. */
async function read(url, offset) {
  const parts = [];
  let trouble;
  try {
    const response = await good(await fetch(url, { headers: offset ? { Range: `bytes=${offset}-` } : {} }));
    for await (const part of response.body) parts.push(part);
  } catch (error) {
    trouble = error;
  }
  return { bytes: new Uint8Array(await new Blob(parts).arrayBuffer()), trouble };
}

function joined(pieces, length) {
  const decoder = new TextDecoder();
  let [text, end, missing] = ["", 0, false];
  for (const { offset, bytes } of pieces) {
    let piece = decoder.decode(bytes);
    if (offset > end) {
      missing = true;
      if (isRelative(text)) break;
      text = wholeLines(text);
      piece = piece.slice(piece.indexOf("\n") + 1);
    }
    text += piece;
    end = offset + bytes.length;
  }
  return end < length ? { text: wholeLines(text), missing: true } : { text, missing };
}

function wholeLines(text) {
  return text.slice(0, text.lastIndexOf("\n") + 1);
}
