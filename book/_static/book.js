// A formula wider than the page scrolls in its own box; let the arrow keys do it too.
function letKeysScroll() {
  const boxes = [...document.querySelectorAll("div.math")];
  // All are measured before the first is changed: each change in between would lay the page out.
  const wide = boxes.map(box => box.scrollWidth > box.clientWidth);
  for (const [i, box] of boxes.entries()) {
    if (wide[i]) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  }
}
addEventListener("load", letKeysScroll);
addEventListener("resize", letKeysScroll);

// A picture that a narrow window shows much smaller than it was drawn can be scrolled at full size.
function inBox(image) {
  const box = Object.assign(document.createElement("div"), { className: "figure-box" });
  const button = Object.assign(document.createElement("button"), { type: "button", className: "full-size" });
  const show = full => {
    box.classList.toggle("in-full", full);
    button.textContent = full ? "Fit to the page" : "Full size";
    if (full) box.tabIndex = 0;
    else box.removeAttribute("tabindex");
  };
  button.addEventListener("click", () => show(!box.classList.contains("in-full")));
  image.before(box);
  box.append(image);
  box.after(button);
  show(false);
  return box;
}
function offerFullSize() {
  const images = [...document.querySelectorAll("div.cell_output img[width]")]
    .filter(image => !image.closest(".living")?.living); // another figure takes its place
  // The room, not the picture: one further down is not loaded yet and has no width of its own.
  const rooms = images.map(image => image.closest("div.cell_output").clientWidth);
  for (const [i, image] of images.entries()) {
    const isSmall = Number(image.getAttribute("width")) > 1.25 * rooms[i];
    const box = image.closest(".figure-box") ?? (isSmall ? inBox(image) : null);
    if (box) box.nextElementSibling.hidden = !isSmall;
  }
}
addEventListener("load", offerFullSize);
addEventListener("resize", offerFullSize);
