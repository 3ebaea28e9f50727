// Keyboard access to what Furo leaves to the mouse, and names for screen readers. site.css belongs to it.

/** What is wider than its frame can be focused, and then scrolled with the arrow keys. */
function reachScrollers() {
  for (const frame of document.querySelectorAll(".table-wrapper, .highlight pre")) {
    if (frame.scrollWidth > frame.clientWidth) {
      frame.tabIndex = 0;
      frame.setAttribute("role", "group");
      frame.setAttribute("aria-label", frame.matches("pre") ? "Code" : "Table");
    } else {
      for (const name of ["tabindex", "role", "aria-label"]) frame.removeAttribute(name);
    }
  }
}

/** The icons of a narrow window that open the list of pages and the contents of the page. */
function reachIcon(icon, name) {
  const box = document.getElementById(icon.htmlFor);
  icon.tabIndex = 0;
  icon.setAttribute("role", "button");
  icon.setAttribute("aria-label", name);
  const tell = () => icon.setAttribute("aria-expanded", box.checked);
  box.addEventListener("change", tell);
  icon.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    box.click();
  });
  tell();
}

/** A moving picture gets a button that stops it; it does not start where less motion is wished. */
function makeStoppable(picture) {
  const still = document.createElement("canvas");
  const button = document.createElement("button");
  const show = (stopped) => {
    still.hidden = !stopped;
    picture.hidden = stopped;
    button.textContent = stopped ? "Play animation" : "Stop animation";
  };
  still.width = picture.naturalWidth;
  still.height = picture.naturalHeight;
  still.getContext("2d").drawImage(picture, 0, 0); // its first frame
  still.setAttribute("role", "img");
  still.setAttribute("aria-label", picture.alt);
  button.className = "stop-button";
  button.addEventListener("click", () => show(still.hidden));
  picture.after(still, button);
  show(window.matchMedia("(prefers-reduced-motion: reduce)").matches);
}

const NAMES = { ".sidebar-drawer": "Pages", ".toc-drawer": "Contents of this page" };
for (const [selector, name] of Object.entries(NAMES)) {
  document.querySelector(selector)?.setAttribute("aria-label", name);
}
for (const icon of document.querySelectorAll(".nav-overlay-icon")) reachIcon(icon, "Pages");
for (const icon of document.querySelectorAll(".toc-overlay-icon:not(.no-toc)")) {
  reachIcon(icon, "Contents of this page");
}
for (const picture of document.querySelectorAll('article img[src$=".webp"]')) {
  picture.decode().then(() => makeStoppable(picture));
}
reachScrollers();
window.addEventListener("resize", reachScrollers);
document.fonts.ready.then(reachScrollers);
