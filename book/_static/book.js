// A formula wider than the page scrolls in its own box; let the arrow keys do it too.
function letKeysScroll() {
  for (const box of document.querySelectorAll("div.math")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
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
  for (const image of document.querySelectorAll("div.cell_output img[width]")) {
    if (image.closest(".living.is-alive")) continue; // another figure has taken its place
    // The room, not the picture: one further down is not loaded yet and has no width of its own.
    const room = image.closest("div.cell_output").clientWidth;
    const isSmall = Number(image.getAttribute("width")) > 1.25 * room;
    const box = image.closest(".figure-box") ?? (isSmall ? inBox(image) : null);
    if (box) box.nextElementSibling.hidden = !isSmall;
  }
}
addEventListener("load", offerFullSize);
addEventListener("resize", offerFullSize);
