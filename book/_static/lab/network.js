// The runtime and the networks: fetched when asked for, from this site alone, and run.
{
  const Lab = (window.Lab ??= {});
  const folder = new URL(".", document.currentScript.src);
  const HEX = "0123456789abcdefg"; // a count of 0 to 16 each

  async function fetched(name) {
    const answer = await fetch(new URL(name, folder));
    if (!answer.ok) throw new Error(`${name} is not there (${answer.status})`);
    return answer;
  }

  // The build packs the runtime, so that it is small from whatever server.
  async function unpacked(name) {
    const stream = (await fetched(name)).body.pipeThrough(new DecompressionStream("gzip"));
    return new Response(stream).arrayBuffer();
  }

  let runtime = null;
  async function startRuntime() {
    const [ort, wasm] = await Promise.all([
      import(new URL("ort.mjs", folder)),
      unpacked("ort.wasm.gzip"),
    ]);
    // One thread: more need headers that a plain server does not send.
    Object.assign(ort.env.wasm, { numThreads: 1, wasmBinary: wasm });
    ort.env.logLevel = "error";
    return ort;
  }

  const examplesOf = {
    digits(held) {
      const counts = Uint8Array.from(held.counts, (sign) => HEX.indexOf(sign));
      return Array.from(held.labels, (label, i) => ({
        label: Number(label),
        counts: counts.subarray(64 * i, 64 * (i + 1)),
      }));
    },
    pictures(held) {
      const pixels = Uint8Array.from(atob(held.pixels), (sign) => sign.charCodeAt(0));
      return held.labels.map((label, i) => ({
        label,
        name: held.names[i],
        pixels: pixels.subarray(3072 * i, 3072 * (i + 1)),
      }));
    },
  };

  // A network with its examples. Only what is asked for is copied out of the runtime's memory.
  async function load(name) {
    runtime ??= startRuntime();
    runtime.catch(() => (runtime = null)); // so that one can try again
    const [ort, model, held] = await Promise.all([
      runtime,
      fetched(`${name}.onnx`).then((answer) => answer.arrayBuffer()),
      fetched(`${name}.json`).then((answer) => answer.json()),
    ]);
    const settings = { executionProviders: ["wasm"], logSeverityLevel: 3 };
    const session = await ort.InferenceSession.create(model, settings);
    const shape = name === "digits" ? [1, 8, 8] : [3, 32, 32];
    const size = shape.reduce((a, b) => a * b);

    async function run(images, { skips, branches }, outputs = session.outputNames) {
      const inputs = {
        images: new ort.Tensor("float32", images, [images.length / size, ...shape]),
        skips: new ort.Tensor("float32", Float32Array.from(skips), [skips.length]),
        branches: new ort.Tensor("float32", Float32Array.from(branches), [branches.length]),
      };
      return session.run(inputs, outputs);
    }

    const normalised = (example) =>
      example.counts
        ? Lab.normalisedCounts(example.counts, held)
        : Lab.normalisedPixels(example.pixels, held);
    return { name, size, run, normalised, examples: examplesOf[name](held), ...held };
  }

  function probabilities(scores) {
    const highest = Math.max(...scores);
    const powers = Array.from(scores, (score) => Math.exp(score - highest));
    const sum = powers.reduce((a, b) => a + b);
    return powers.map((power) => power / sum);
  }

  Object.assign(Lab, { load, probabilities });
}
