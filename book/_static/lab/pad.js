// The field to draw on: 32 × 32 cells, by mouse, finger, pen or keys.
{
  const Lab = (window.Lab ??= {});
  const CELL = 10; // pixels of the canvas
  const PEN = 1.6; // cells from the middle of a stroke to its edge
  const KEYS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

  class Pad {
    // changed(event): called after each change of the cells.
    constructor(canvas, changed) {
      this.canvas = canvas;
      this.changed = changed;
      this.bitmap = new Uint8Array(Lab.SIDE * Lab.SIDE);
      this.erases = false;
      this.isExample = false; // a first stroke wipes an example
      this.at = [Lab.SIDE / 2, Lab.SIDE / 2]; // the pen, in cells from the top and from the left
      this.showsPen = false;
      canvas.width = canvas.height = CELL * Lab.SIDE;
      canvas.addEventListener("pointerdown", (event) => this.begin(event));
      canvas.addEventListener("pointermove", (event) => this.go(event));
      canvas.addEventListener("keydown", (event) => this.key(event));
      canvas.addEventListener("blur", () => this.showPen(false));
    }

    begin(event) {
      if (event.button) return;
      this.canvas.setPointerCapture(event.pointerId);
      this.at = this.cellOf(event);
      this.draw(this.at, event);
    }

    go(event) {
      if (!(event.buttons & 1) || !this.canvas.hasPointerCapture(event.pointerId)) return;
      this.draw(this.cellOf(event), event);
    }

    cellOf(event) {
      const box = this.canvas.getBoundingClientRect();
      const part = (value, start, size) => (Lab.SIDE * (value - start)) / size;
      return [part(event.clientY, box.top, box.height), part(event.clientX, box.left, box.width)];
    }

    key(event) {
      const step = KEYS[event.key];
      if (step) {
        const to = this.at.map((value, i) => Math.min(Lab.SIDE - 1, Math.max(1, value + step[i])));
        if (event.shiftKey) this.draw(to, event);
        this.at = to;
      } else if (event.key === " ") this.draw(this.at, event);
      else if (event.key === "Delete" || event.key === "Backspace") this.clear(event);
      else return;
      event.preventDefault();
      this.showPen(true);
    }

    // A stroke from where the pen is.
    draw(to, event) {
      if (this.isExample && !this.erases) this.bitmap = new Uint8Array(Lab.SIDE * Lab.SIDE);
      this.isExample = false;
      const [fromRow, fromColumn] = this.at;
      const steps = 1 + Math.ceil(2 * Math.hypot(to[0] - fromRow, to[1] - fromColumn));
      for (let step = 1; step <= steps; step++) {
        const share = step / steps;
        this.dot(fromRow + share * (to[0] - fromRow), fromColumn + share * (to[1] - fromColumn));
      }
      this.at = to;
      this.show();
      this.changed(event);
    }

    dot(row, column) {
      for (let y = Math.max(0, Math.floor(row - PEN)); y < Math.min(Lab.SIDE, row + PEN); y++) {
        for (let x = Math.max(0, Math.floor(column - PEN)); x < Math.min(Lab.SIDE, column + PEN); x++) {
          const away = Math.hypot(y + 0.5 - row, x + 0.5 - column);
          if (away <= PEN) this.bitmap[Lab.SIDE * y + x] = this.erases ? 0 : 1;
        }
      }
    }

    clear(event) {
      this.set(new Uint8Array(Lab.SIDE * Lab.SIDE), event);
    }

    set(bitmap, event, isExample = false) {
      this.bitmap = bitmap;
      this.isExample = isExample;
      this.show();
      this.changed(event);
    }

    showPen(shown) {
      this.showsPen = shown;
      this.show();
    }

    show() {
      const look = getComputedStyle(this.canvas);
      const brush = this.canvas.getContext("2d");
      brush.clearRect(0, 0, this.canvas.width, this.canvas.height);
      brush.fillStyle = look.color;
      this.bitmap.forEach((ink, place) => {
        if (!ink) return;
        const [row, column] = [Math.floor(place / Lab.SIDE), place % Lab.SIDE];
        brush.fillRect(CELL * column, CELL * row, CELL, CELL);
      });
      brush.strokeStyle = look.getPropertyValue("--rule");
      for (let line = 4; line < Lab.SIDE; line += 4) {
        brush.strokeRect(CELL * line, -1, 0, CELL * Lab.SIDE + 2);
        brush.strokeRect(-1, CELL * line, CELL * Lab.SIDE + 2, 0);
      }
      if (!this.showsPen) return;
      brush.strokeStyle = look.getPropertyValue("--book-shortcut");
      brush.lineWidth = 3;
      brush.beginPath();
      brush.arc(CELL * this.at[1], CELL * this.at[0], CELL * PEN, 0, 2 * Math.PI);
      brush.stroke();
      brush.lineWidth = 1;
    }
  }

  Lab.Pad = Pad;
}
