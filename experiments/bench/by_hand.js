// A small residual network without a runtime: 3×3 convolutions with batch norm folded in, option A
// shortcuts, a linear head. Blocks and switches are those of the book's lab.
function convolve(x, side, { weight, bias, stride }) {
  const inputs = x.length / (side * side);
  const small = Math.ceil(side / stride);
  const y = new Float32Array(bias.length * small * small);
  for (let o = 0, at = 0; o < bias.length; o++)
    for (let row = 0; row < small; row++)
      for (let column = 0; column < small; column++) {
        let sum = bias[o];
        for (let i = 0; i < inputs; i++)
          for (let dr = 0; dr < 3; dr++) {
            const r = row * stride + dr - 1;
            if (r < 0 || r >= side) continue;
            for (let dc = 0; dc < 3; dc++) {
              const c = column * stride + dc - 1;
              if (c < 0 || c >= side) continue;
              sum += weight[((o * inputs + i) * 3 + dr) * 3 + dc] * x[(i * side + r) * side + c];
            }
          }
        y[at++] = sum;
      }
  return y;
}

const relu = (x) => x.map((value) => Math.max(0, value));

// Every second row and column, and zeros for the new channels.
function shortcut(x, side, stride, length) {
  const small = Math.ceil(side / stride);
  return new Float32Array(length).map((_, at) => {
    const channel = Math.floor(at / (small * small));
    const row = stride * Math.floor((at / small) % small);
    return x[(channel * side + row) * side + stride * (at % small)] ?? 0;
  });
}

function byHand(image, side, { convolutions, head }, { skips, branches }) {
  let x = relu(convolve(image, side, convolutions[0]));
  skips.forEach((skip, block) => {
    const [first, second] = convolutions.slice(1 + 2 * block, 3 + 2 * block);
    const small = Math.ceil(side / first.stride);
    const branch = convolve(relu(convolve(x, side, first)), small, second);
    const carried = shortcut(x, side, first.stride, branch.length);
    x = branch.map((value, i) => Math.max(0, branches[block] * value + skip * carried[i]));
    side = small;
  });
  const cells = side * side;
  return head.bias.map((bias, k) => {
    let sum = bias;
    x.forEach((value, i) => {
      sum += (value / cells) * head.weight[(k * x.length) / cells + Math.floor(i / cells)];
    });
    return sum;
  });
}
