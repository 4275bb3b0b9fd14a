// The ring: each process hands one chunk to the next, first to be added, then to be copied.
Living.figure("ring", () => {
  const { made } = Living;
  const EDGE = { left: 70, top: 28, bottom: 26 };
  const WORD = 54; // pixels that "chunk 0" takes, with air

  const range = (length) => [...Array(length).keys()];
  const last = (n) => 2 * (n - 1); // steps
  // The chunk that each process hands on: in the first n - 1 steps to be added, then to replace.
  const sent = (n, step) => range(n).map((rank) => (rank + 1 - step + 2 * n) % n);
  // All chunks after so many steps: each the sum so far, and how many processes are in it.
  function after(n, steps) {
    let has = range(n).map((rank) => {
      return range(n).map((chunk) => ({ sum: (rank + 1) * (chunk + 1), from: 1 }));
    });
    for (const step of range(steps + 1).slice(1)) {
      const before = has;
      has = before.map((row) => [...row]);
      for (const [rank, chunk] of sent(n, step).entries()) {
        const right = (rank + 1) % n;
        const [given, own] = [before[rank][chunk], before[right][chunk]];
        const both = { sum: own.sum + given.sum, from: own.from + given.from };
        has[right][chunk] = step < n ? both : given;
      }
    }
    return has;
  }

  const limits = ({ processes }) => ({ step: last(processes) + 1, followed: processes });
  const aims = ({ step }) => ({ step });

  // What one process sends, receives and holds.
  function sentence(n, step, has, rank) {
    const share = `${Number((step / n).toFixed(3))} times its vector`; // all of 0.125
    const holds = `holds ${has[rank].map(({ sum }) => sum).join(", ")}`;
    if (!step) {
      const own = `Process 0 has the vector 1 to ${n}, process 1 twice that, and so on`;
      return `${own}. All want the sum. Process ${rank} ${holds}.`;
    }
    const before = after(n, step - 1);
    const chunks = sent(n, step);
    const left = (rank + n - 1) % n;
    const [gone, come] = [chunks[rank], chunks[left]];
    const phase = step < n ? "reduce-scatter" : "all-gather";
    const what = step < n ? `adds it to ${before[rank][come].sum}` : "keeps it";
    const end = step === last(n) ? " Every process has every sum." : "";
    const sends = `process ${rank} sends chunk ${gone}, the number ${before[rank][gone].sum}, to ` +
      `process ${(rank + 1) % n}`;
    const takes = `From process ${left} it receives chunk ${come}, the number ` +
      `${before[left][come].sum}, ${what} and now ${holds}`;
    const told = `Step ${step} of ${last(n)}, ${phase}: ${sends}. ${takes}`;
    return `${told}. Each has sent ${share}.${end}`;
  }

  // A finished chunk keeps a tick in its upper right corner.
  const tick = (x, y) => made("path", { class: "tick", d: `M${x - 11} ${y + 7}l2.5 3l5 -6` });

  function paint({ state, now, width, height }) {
    const { processes: n, step, followed } = state;
    const has = after(n, step);
    const [wide, high] = [(width - EDGE.left) / n, (height - EDGE.top - EDGE.bottom) / n];
    const x = (chunk) => EDGE.left + wide * (chunk + 0.5);
    const y = (rank) => EDGE.top + high * (rank + 0.5);
    const moved = step ? sent(n, step) : [];
    // How far the chunks of this step have come, from the sender's row to the next.
    const way = Math.min(Math.max(now.step - step + 1, 0), 1);

    // Where the columns have no room for the word, it stands once, before the numbers.
    const isNarrow = wide < WORD;
    const head = range(n).map((chunk) => {
      const name = isNarrow ? chunk : `chunk ${chunk}`;
      return made("text", { class: "middle head", x: x(chunk), y: 16 }, name);
    });
    if (isNarrow) head.unshift(made("text", { class: "head", x: 0, y: 16 }, "chunk"));
    const rows = range(n).flatMap((rank) => [
      made("text", {
        class: rank === followed ? "strong" : null, x: 0, y: y(rank) + 4,
      }, `process ${rank}`),
      ...has[rank].map(({ sum, from }, chunk) => {
        const isNew = moved[(rank + n - 1) % n] === chunk;
        const look = `${from === n ? "whole" : ""} ${isNew ? "new" : ""}`;
        const frame = { x: x(chunk) - wide / 2 + 2, y: y(rank) - high / 2 + 2 };
        return made(
          "g",
          {},
          made("rect", {
            ...frame, width: wide - 4, height: high - 4, rx: 3, class: `chunk ${look}`,
            style: `--share: ${Math.round((60 * (from - 1)) / (n - 1))}%`,
          }),
          made("text", {
            class: `middle held ${from === n ? "strong" : ""}`, x: x(chunk), y: y(rank) + 4,
            "data-place": `${rank} ${chunk}`,
          }, sum),
          ...(from === n ? [tick(frame.x + wide - 4, frame.y)] : []),
        );
      }),
    ]);
    // From the last process the way leads back to the first: out below, and in from above.
    const arrows = moved.flatMap((chunk, rank) => {
      const [from, length] = [y(rank) + high / 2 - 8, 16];
      const to = (rank + 1) % n;
      const shaft = (top) => `M${x(chunk)} ${top}v${length}m-4 -5l4 5l4 -5`;
      const places = to ? [from] : [from, y(0) - high / 2 - 8];
      return places.map((top) => made("path", { class: "wire hand", d: shaft(top) }));
    });
    const dots = way > 0 && way < 1
      ? moved.map((chunk, rank) => {
          const rise = rank === n - 1 ? high * 0.6 : high;
          return made("circle", { class: "hop", cx: x(chunk), cy: y(rank) + rise * way, r: 5 });
        })
      : [];
    const foot = step ? `${step < n ? "reduce-scatter" : "all-gather"}, ` : "";
    const shapes = [
      ...head,
      ...rows,
      ...arrows,
      ...dots,
      made("text", { x: 0, y: height - 4 }, `${foot}step ${step} of ${last(n)}`),
    ];
    const said = sentence(n, step, has, followed);
    const held = has.map((row, rank) => `process ${rank}: ${row.map(({ sum }) => sum).join(", ")}`);
    const whole = has[0].filter(({ from }) => from === n).length; // the same in each
    const finished = `Finished in each: ${whole} of ${n}`;
    const when = `${n} processes after ${step} of ${last(n)} steps`;
    const alt = `${when}: ${held.join("; ")}. ${finished}. ${said}`;
    return { shapes, alt, said };
  }

  return { aims, limits, paint };
});
