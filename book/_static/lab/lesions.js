// The lesion table: how many examples the network gets right with one branch or one shortcut off.
{
  const Lab = (window.Lab ??= {});
  const BATCH = 60;

  // Right answers among a network's examples, in a state of its switches.
  async function countRight(network, images, state) {
    let right = 0;
    for (let start = 0; start < network.examples.length; start += BATCH) {
      const some = images.subarray(network.size * start, network.size * (start + BATCH));
      const { scores } = await network.run(some, state, ["scores"]);
      const [number, classes] = scores.dims;
      for (let i = 0; i < number; i++) {
        const own = scores.data.subarray(classes * i, classes * (i + 1));
        if (own.indexOf(Math.max(...own)) === network.examples[start + i].label) right++;
      }
      // A breath for the page between two batches.
      await new Promise((resolve) => setTimeout(resolve));
    }
    return right;
  }

  function allImages(network) {
    const images = new Float32Array(network.size * network.examples.length);
    network.examples.forEach((example, i) => images.set(network.normalised(example), i * network.size));
    return images;
  }

  // The states in which one thing is off; null where nothing is.
  function states(blocks) {
    const on = () => Array(blocks).fill(1);
    const cut = (number) => on().map((_, i) => Number(i !== number));
    return Array.from({ length: blocks }, (_, number) => ({
      branch: { skips: on(), branches: cut(number) },
      shortcut: { skips: cut(number), branches: on() },
    }));
  }

  // Fill the table row by row; said(words) tells how far it is.
  async function measureLesions(network, { caption, body, foot }, state, said) {
    const images = allImages(network);
    const cell = (right) => Lab.made("td", { textContent: right });
    caption.textContent = `Right answers, of ${network.examples.length} examples`;
    body.replaceChildren();
    foot.replaceChildren();
    for (const [number, lesions] of states(network.blocks.length).entries()) {
      said(`Block ${number + 1} of ${network.blocks.length} …`);
      const branch = await countRight(network, images, lesions.branch);
      const shortcut = await countRight(network, images, lesions.shortcut);
      const head = Lab.made("th", { scope: "row", textContent: `${number + 1}, ${network.blocks[number]}` });
      body.append(Lab.made("tr", {}, head, cell(branch), cell(shortcut)));
    }
    await measureNow(network, foot, state, images);
    said("Done.");
  }

  // The last line, which follows the switches.
  async function measureNow(network, foot, state, images = allImages(network)) {
    const right = await countRight(network, images, state);
    const head = Lab.made("th", { scope: "row", textContent: "as the switches stand" });
    const cell = Lab.made("td", { colSpan: 2, textContent: right });
    foot.replaceChildren(Lab.made("tr", {}, head, cell));
  }

  Object.assign(Lab, { countRight, allImages, measureLesions, measureNow });
}
