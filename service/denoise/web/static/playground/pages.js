/** How many pages a file has: those of a TIFF (revision 6.0, and BigTIFF) are counted by its directories alone. */

const START_BYTES = 16;
const CLASSIC = 42;
const BIG = 43;
const SUBFILE_TYPE = 254; // the first tag of a page that is another one made smaller (bit 0), or a mask (bit 2)
const NO_PAGE = 0b101;

/**
 * @param {Blob} file
 * @param {number} most where counting ends
 * @returns {Promise<number>} 1 of any other file, and of one that is damaged
 */
export async function countPages(file, most) {
  const start = new DataView(await file.slice(0, START_BYTES).arrayBuffer());
  const order = start.byteLength === START_BYTES ? start.getUint16(0) : 0;
  const little = order === 0x4949; // "II"
  if (!little && order !== 0x4d4d) return 1; // "MM"
  const version = start.getUint16(2, little);
  if (version !== CLASSIC && version !== BIG) return 1;
  return walk(new DataView(await file.arrayBuffer()), little, version === BIG, most);
}

/** Goes from directory to directory. */
function walk(view, little, big, most) {
  const offset = (at) => (big ? Number(view.getBigUint64(at, little)) : view.getUint32(at, little));
  const lengthBytes = big ? 8 : 2;
  const entryBytes = big ? 20 : 12;
  const seen = new Set();
  let pages = 0;
  try {
    for (let at = offset(big ? 8 : 4); at && !seen.has(at) && pages < most; ) {
      seen.add(at);
      const entries = big ? offset(at) : view.getUint16(at, little);
      const first = at + lengthBytes;
      const value = entries && view.getUint16(first, little) === SUBFILE_TYPE ? first + (big ? 12 : 8) : null;
      if (value === null || !(view.getUint32(value, little) & NO_PAGE)) pages += 1;
      at = offset(first + entries * entryBytes);
    }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error; // the file ends before its directories do
  }
  return Math.max(1, pages);
}
