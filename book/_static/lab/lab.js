// The page: a network is loaded when asked for; from then on each stroke, picture and switch asks it.
{
  const Lab = (window.Lab ??= {});
  const $ = (id) => document.getElementById(`lab-${id}`);
  const FIRST = 3; // the digit that is there to begin with

  class Bench {
    constructor(network) {
      this.network = network;
      this.answer = new Lab.Answer(
        { list: $("classes"), sentence: $("sentence"), told: $("told") }, network.classes);
      this.blocks = new Lab.Blocks($("blocks"), network.blocks, (event) => this.switched(event));
      $("lesions").hidden = false;
      $("lesion-body").replaceChildren();
      $("lesion-foot").replaceChildren();
      $("lesion-said").textContent = "";
      $("lesion-table").hidden = true;
    }

    // The newest input is answered; what came in between while the network was at work is not.
    async ask(image, event) {
      this.image = image;
      this.event ??= event;
      if (this.busy) return;
      this.busy = true;
      while (this.image) {
        const [asked, since] = [this.image, this.event];
        this.image = this.event = null;
        this.last = asked;
        const outputs = await this.network.run(asked, this.blocks.state);
        if (current !== this) break;
        const isEmpty = this.network.name === "digits" && !pad.bitmap.some(Boolean);
        this.answer.show(Lab.probabilities(outputs.scores.data), isEmpty);
        this.blocks.show(outputs);
        if (since) performance.measure("from input to answer", { start: since.timeStamp });
      }
      this.busy = false;
    }

    switched(event) {
      if (this.last) this.ask(this.last, event);
      if ($("lesion-foot").childElementCount) this.later();
    }

    // The table's last line, once the switches rest.
    later() {
      clearTimeout(this.timer);
      this.timer = setTimeout(async () => {
        if (this.measuring) return this.later();
        await Lab.measureNow(this.network, $("lesion-foot"), this.blocks.state);
      }, 300);
    }

    async measure() {
      if (this.measuring) return;
      this.measuring = true;
      const table = {
        caption: $("lesion-caption"),
        body: $("lesion-body"),
        foot: $("lesion-foot"),
      };
      const said = (words) => ($("lesion-said").textContent = words);
      $("lesion-table").hidden = false;
      await Lab.measureLesions(this.network, table, this.blocks.state, said);
      this.measuring = false;
    }
  }

  let current = null;
  const benches = {};

  function showExample(example, event) {
    if (example.counts) pad.set(Lab.bitmapOf(example.counts), event, true);
    else showPixels(example.pixels, event);
  }

  // One button for each class; pressed again it takes the next example of it.
  function exampleButtons(network) {
    const next = {};
    return network.classes.map((name, label) => {
      const own = network.examples.filter((example) => example.label === label);
      const button = Lab.made("button", { type: "button", textContent: name });
      button.addEventListener("click", (event) => {
        next[label] = ((next[label] ?? -1) + 1) % own.length;
        showExample(own[next[label]], event);
      });
      return button;
    });
  }

  function drawn(event) {
    const counts = Lab.countsOf(pad.bitmap);
    showCounts(counts);
    current.ask(Lab.normalisedCounts(counts, current.network), event);
  }

  function showCounts(counts) {
    const cells = $("counts").children;
    counts.forEach((count, i) => {
      cells[i].style.setProperty("--ink", `${(100 * count) / Lab.FULL}%`);
      cells[i].textContent = count || "";
    });
  }

  function showPixels(pixels, event) {
    const brush = $("picture").getContext("2d");
    const shown = brush.createImageData(32, 32);
    for (let i = 0; i < 1024; i++) shown.data.set([...pixels.subarray(3 * i, 3 * i + 3), 255], 4 * i);
    brush.putImageData(shown, 0, 0);
    current.ask(Lab.normalisedPixels(pixels, current.network), event);
  }

  // The middle square of a picture, made as small as the network's own.
  async function readPicture(file, event) {
    const picture = await createImageBitmap(file).catch(() => null);
    if (!picture) return current.answer.say("That is no picture that this browser can read.");
    const side = Math.min(picture.width, picture.height);
    const brush = new OffscreenCanvas(32, 32).getContext("2d");
    Object.assign(brush, { imageSmoothingQuality: "high", fillStyle: "#fff" });
    brush.fillRect(0, 0, 32, 32);
    const [left, top] = [(picture.width - side) / 2, (picture.height - side) / 2];
    brush.drawImage(picture, left, top, side, side, 0, 0, 32, 32);
    const seen = brush.getImageData(0, 0, 32, 32).data;
    showPixels(Uint8Array.from(seen.filter((_, i) => i % 4 < 3)), event);
  }

  async function begin(name, button) {
    button.disabled = true;
    $("status").textContent = "Loading …";
    try {
      benches[name] ??= await Lab.load(name);
    } catch (error) {
      $("status").textContent = `It could not be loaded: ${error.message}. Try again.`;
      button.disabled = false;
      return;
    }
    $("status").textContent = "";
    show(name);
  }

  function show(name) {
    const network = benches[name];
    $("start").hidden = $("still").hidden = true;
    $("bench").hidden = false;
    for (const part of document.querySelectorAll("#lab [data-for]")) {
      part.hidden = part.dataset.for !== name;
    }
    $("more").hidden = Boolean(benches.pictures);
    $("choice").hidden = !benches.pictures;
    $(`choose-${name}`).checked = true;
    current = new Bench(network);
    $(`examples-${name}`).replaceChildren(...exampleButtons(network));
    const first = name === "digits" ? FIRST : 0;
    if (name === "digits" && pad.bitmap.some(Boolean)) drawn();
    else showExample(network.examples.find((example) => example.label === first));
    (name === "digits" ? $("pad") : $("examples-pictures").firstElementChild).focus();
  }

  let pad = null;
  function wire() {
    pad = new Lab.Pad($("pad"), drawn);
    $("counts").append(...Array.from({ length: 64 }, () => Lab.made("span")));
    pad.show();
    $("load").addEventListener("click", () => begin("digits", $("load")));
    $("more-load").addEventListener("click", () => begin("pictures", $("more-load")));
    for (const name of ["digits", "pictures"]) {
      $(`choose-${name}`).addEventListener("change", () => show(name));
    }
    $("clear").addEventListener("click", (event) => pad.clear(event));
    $("erase").addEventListener("change", () => (pad.erases = $("erase").checked));
    $("file").addEventListener("change", (event) => {
      if ($("file").files.length) readPicture($("file").files[0], event);
    });
    for (const [id, on] of [["all-on", true], ["all-off", false]]) {
      $(id).addEventListener("click", (event) => {
        current.blocks.turnAll(on);
        current.switched(event);
      });
    }
    $("measure").addEventListener("click", () => current.measure());
    new MutationObserver(() => {
      pad.show();
      current?.blocks.redraw();
    }).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  }

  document.getElementById("lab").hidden = false;
  $("script").hidden = true;
  if (location.protocol === "file:") $("folder").hidden = false;
  else {
    $("start").hidden = false;
    wire();
  }
}
