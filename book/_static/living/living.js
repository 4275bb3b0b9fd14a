// Brings a page's living figures to life. Where a script fails, the still picture goes on standing.
//
// A figure's own script calls Living.figure(name, make). make(data, box) gives { paint, aims,
// limits }. paint({ state, now, width, height }) draws: from the controls' values and the size of
// the drawing it makes { shapes, alt, said, slots }: SVG elements, the drawing's text alternative,
// the sentence under it, and the text of each place in the panel. aims(state), if there is one,
// gives an object of numbers; `now` has the same names, and moves there where motion is welcome.
// limits(state), if there is one, gives for sliders by name how many of their values they offer in
// this state, and names(state) their texts where these depend on the state.
{
  const Living = (window.Living ??= {});
  const QUIET = 500; // milliseconds without a change until a screen reader is told
  const GLIDE = 400; // milliseconds that numbers take to where they aim
  const SVG = "http://www.w3.org/2000/svg";
  const [PLAIN, SIGNS] = ["-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"];
  const calm = matchMedia("(prefers-reduced-motion: reduce)");

  // An SVG element with its attributes; those that are null are left out.
  Living.made = (tag, attributes = {}, ...children) => {
    const element = document.createElementNS(SVG, tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (value !== null) element.setAttribute(name, value);
    }
    element.append(...children);
    return element;
  };

  const minus = (text) => text.replace("-", "−");
  Living.power = (exponent) => {
    return [...String(exponent)].map((sign) => SIGNS[PLAIN.indexOf(sign)]).join("");
  };
  // Three digits, or two and a power of ten, as parts.py writes numbers in tables.
  Living.number = (value) => {
    if (!value) return "0";
    const plain = Number(value.toPrecision(3));
    if (Math.abs(plain) >= 0.01 && Math.abs(plain) < 1000) return minus(String(plain));
    const [first, exponent] = value.toExponential(1).split("e");
    return `${minus(String(Number(first)))} × 10${Living.power(Number(exponent))}`;
  };
  Living.whole = (value) => value.toLocaleString("en");
  Living.digits = (value) => String(Number(value.toPrecision(3)));
  // Whole up to a million, then to three digits.
  Living.counted = (value) => {
    if (value < 1e6) return Living.whole(value);
    const isSmall = value < 1e9;
    return isSmall ? `${Living.digits(value / 1e6)} M` : `${Living.digits(value / 1e9)} G`;
  };
  // With so many decimals; never minus zero.
  Living.fixed = (places) => (value) => {
    const rounded = Number(value.toFixed(places)) || 0;
    return minus(rounded.toFixed(places));
  };
  // From the least to the most, each end unbroken.
  Living.span = (list, write = Living.number) => {
    const ends = [Math.min(...list), Math.max(...list)];
    const [low, high] = ends.map((end) => write(end).replaceAll(" ", "\u00a0"));
    return low === high ? low : `${low} to ${high}`;
  };
  // As it is read out: raised digits are skipped or spelled by many voices, and so are signs and
  // abbreviations. "3×3" and "64 × 7 × 7" are sizes; only before a power of ten is × a product.
  Living.spoken = (text) => {
    const lower = (sign) => PLAIN[SIGNS.indexOf(sign)];
    const lowered = (raised) => [...raised].map(lower).join("");
    return text
      .replace(RegExp(`\\s*×\\s*(?=10[${SIGNS}])`, "g"), " times ")
      .replace(/\s*×\s*/g, " by ")
      .replace(RegExp(`[${SIGNS}]+`, "g"), (raised) => ` to the power ${lowered(raised)}`)
      .replace(/(?<=\d\s)[MG]\b/g, (unit) => (unit === "M" ? "million" : "billion"))
      .replaceAll("−", "-");
  };

  class Figure {
    constructor(box, make) {
      this.box = box;
      this.drawing = box.querySelector(".living-drawing");
      this.controls = [...box.querySelectorAll("[data-control]")];
      const { data, sliders } = JSON.parse(box.querySelector(".living-data").textContent);
      this.sliders = sliders;
      const none = () => ({});
      const { paint, aims = none, limits = none, names = none } = make(data, box);
      Object.assign(this, { paint, aims, limits, names });
      this.limit();
      this.now = aims(this.state);
      this.size = { width: 0, height: 0 };
      box.living = this; // tests ask it for states by the thousand
      box.addEventListener("input", () => {
        this.touched = true;
        this.change();
      });
      box.addEventListener("keydown", (event) => this.leaf(event));
      // It tells the first size too. To ask for it here would lay the whole page out once more.
      new ResizeObserver(([{ contentRect }]) => {
        this.size = contentRect;
        this.show();
        box.classList.add("is-alive"); // drawn: now it takes the still picture's place
      }).observe(this.drawing);
    }

    // The values of a slider and their texts; the points of a curve share one scale.
    scale({ dataset: { scale, control } }) {
      return this.sliders[scale ?? control];
    }

    get state() {
      const state = {};
      for (const control of this.controls) {
        const { control: name } = control.dataset;
        const { type, checked, value, valueAsNumber } = control;
        if (type === "range") state[name] = this.scale(control).values[valueAsNumber];
        else if (type === "checkbox") state[name] = checked;
        else if (checked || type === "select-one") state[name] = value;
      }
      return state;
    }

    limit() {
      for (const [name, offered] of Object.entries(this.limits(this.state))) {
        const slider = this.controls.find((control) => control.dataset.control === name);
        slider.max = offered - 1; // the browser takes its value along
        slider.disabled = offered === 1;
      }
    }

    // Page Up and Page Down go to a slider's next stop; by itself it would go a tenth of its way.
    leaf(event) {
      const { target, key } = event;
      const turn = { PageUp: 1, PageDown: -1 }[key];
      if (!turn || !target.dataset.stops) return;
      event.preventDefault();
      const stops = target.dataset.stops.split(" ").map(Number);
      const ahead = stops.filter((stop) => turn * (stop - target.valueAsNumber) > 0);
      const end = turn > 0 ? Number(target.max) : 0;
      target.value = ahead.length ? turn * Math.min(...ahead.map((stop) => turn * stop)) : end;
      target.dispatchEvent(new Event("input", { bubbles: true }));
    }

    change() {
      this.limit();
      cancelAnimationFrame(this.frame);
      const from = this.now;
      const to = this.aims(this.state);
      const names = Object.keys(to);
      const moves = names.some((name) => from[name] !== to[name]);
      if (calm.matches || !moves || !names.every((name) => name in from)) {
        this.now = to;
        this.show();
        return;
      }
      const began = performance.now();
      const step = (time) => {
        const share = Math.min(1, Math.max(0, (time - began) / GLIDE));
        const eased = share * share * (3 - 2 * share);
        const between = (name) => [name, from[name] + (to[name] - from[name]) * eased];
        this.now = share === 1 ? to : Object.fromEntries(names.map(between));
        this.show();
        if (share < 1) this.frame = requestAnimationFrame(step);
      };
      step(began);
    }

    show() {
      const named = this.names(this.state);
      for (const control of this.controls) {
        if (control.type !== "range") continue;
        const texts = named[control.dataset.control] ?? this.scale(control).texts;
        const text = texts[control.valueAsNumber];
        control.setAttribute("aria-valuetext", text);
        control.nextElementSibling.textContent = text;
      }
      const { width, height } = this.size;
      if (!width) return; // not laid out yet; the observer calls again
      const { state, now } = this;
      const { shapes, alt, said, slots = {} } = this.paint({ state, now, width, height });
      this.drawing.replaceChildren(...shapes);
      this.drawing.setAttribute("aria-label", Living.spoken(alt));
      for (const slot of this.box.querySelectorAll("[data-slot]")) {
        slot.textContent = slots[slot.dataset.slot] ?? "";
      }
      this.say(said);
    }

    // Shown at once; read out when all is quiet, and not before anything was moved.
    say(words) {
      const sentence = this.box.querySelector(".living-said");
      if (sentence.textContent === words) return;
      sentence.textContent = words;
      if (!this.touched) return;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => {
        this.box.querySelector(".living-told").textContent = Living.spoken(words);
      }, QUIET);
    }
  }

  Living.figure = (name, make) => {
    const boxes = document.querySelectorAll(`.living[data-living="${name}"]`);
    for (const box of boxes) new Figure(box, make);
  };
}
