// What the network sees: a bar for each class, and one sentence.
{
  const Lab = (window.Lab ??= {});
  const QUIET = 500; // milliseconds without a change until a screen reader is told

  const percent = (share) => `${Math.round(100 * share)} %`;

  class Answer {
    // list: gets a row for each class. sentence: shown at once; told: read out when all is quiet.
    constructor({ list, sentence, told }, classes) {
      Object.assign(this, { list, sentence, told, classes });
      this.rows = classes.map((name) => {
        const bar = Lab.made("span", { className: "lab-bar" });
        const share = Lab.made("span", { className: "lab-share" });
        const label = Lab.made("span", { className: "lab-class", textContent: name });
        const row = Lab.made("li", {}, label, Lab.made("span", { className: "lab-room" }, bar), share);
        return { row, bar, share };
      });
      list.replaceChildren(...this.rows.map(({ row }) => row));
    }

    // isEmpty: whether there is nothing to see; the network names a class all the same.
    show(probabilities, isEmpty) {
      const first = probabilities.indexOf(Math.max(...probabilities));
      this.rows.forEach(({ row, bar, share }, i) => {
        row.classList.toggle("is-first", i === first);
        bar.style.width = `${100 * probabilities[i]}%`;
        share.textContent = percent(probabilities[i]);
      });
      const name = this.classes[first];
      const article = /^[aeiou8]/.test(name) ? "an" : "a";
      const seen = `${article} ${name} (${percent(probabilities[first])}).`;
      this.say(isEmpty ? `Nothing is there, and it sees ${seen}` : `It sees ${seen}`);
    }

    say(words) {
      this.sentence.textContent = words;
      clearTimeout(this.timer);
      this.timer = setTimeout(() => (this.told.textContent = words), QUIET);
    }
  }

  Lab.Answer = Answer;
}
