// From strokes to what the network takes, as the data set was made: 32 × 32 cells of ink or paper,
// counted in squares of 4 × 4, so that 8 × 8 numbers from 0 to 16 are left.
{
  const Lab = (window.Lab ??= {});
  const SIDE = 32;
  const SQUARE = 4;
  const COUNTS = SIDE / SQUARE;
  const FULL = SQUARE * SQUARE;

  // bitmap: 1,024 cells, row by row, 1 where there is ink. The 64 counts, row by row.
  function countsOf(bitmap) {
    const counts = new Uint8Array(COUNTS * COUNTS);
    for (let row = 0; row < SIDE; row++) {
      for (let column = 0; column < SIDE; column++) {
        const place = COUNTS * Math.floor(row / SQUARE) + Math.floor(column / SQUARE);
        counts[place] += bitmap[SIDE * row + column];
      }
    }
    return counts;
  }

  // The library keeps counts as bytes, 16 as 255, and so does this.
  function normalisedCounts(counts, { mean, std }) {
    const bytes = Array.from(counts, (count) => Math.round((count * 255) / FULL));
    return Float32Array.from(bytes, (byte) => (byte / 255 - mean[0]) / std[0]);
  }

  // How dark the middle of a cell is, read off the counts around it.
  function darkness(counts, row, column) {
    let sum = 0;
    for (let y = 0; y < COUNTS; y++) {
      for (let x = 0; x < COUNTS; x++) {
        const dy = (row + 0.5) / SQUARE - (y + 0.5);
        const dx = (column + 0.5) / SQUARE - (x + 0.5);
        sum += counts[COUNTS * y + x] * Math.exp(-2 * (dx * dx + dy * dy));
      }
    }
    return sum;
  }

  // A bitmap that has exactly these counts: in each square the cells nearest to ink get it. The
  // strokes that the counts were once taken from are not in the data set.
  function bitmapOf(counts) {
    const bitmap = new Uint8Array(SIDE * SIDE);
    for (let place = 0; place < counts.length; place++) {
      const top = SQUARE * Math.floor(place / COUNTS);
      const left = SQUARE * (place % COUNTS);
      const cells = Array.from({ length: FULL }, (_, cell) => {
        const row = top + Math.floor(cell / SQUARE);
        const column = left + (cell % SQUARE);
        return { at: SIDE * row + column, dark: darkness(counts, row, column) };
      });
      cells.sort((a, b) => b.dark - a.dark || a.at - b.at);
      for (const cell of cells.slice(0, counts[place])) bitmap[cell.at] = 1;
    }
    return bitmap;
  }

  // Pixels (red, green, blue; row by row) to the network's order: all red ones first.
  function normalisedPixels(pixels, { mean, std }) {
    const each = pixels.length / 3;
    const image = new Float32Array(pixels.length);
    for (let i = 0; i < each; i++) {
      for (let c = 0; c < 3; c++) image[c * each + i] = (pixels[3 * i + c] / 255 - mean[c]) / std[c];
    }
    return image;
  }

  Object.assign(Lab, { SIDE, COUNTS, FULL, countsOf, bitmapOf, normalisedCounts, normalisedPixels });
}
