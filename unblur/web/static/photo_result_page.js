// Overlays the two pictures with a movable divider; without this script they stand side by side.

const TEXT = JSON.parse(document.getElementById("texts").textContent);
const compare = document.getElementById("compare");
const line = document.getElementById("line");
const picture = compare.querySelector("img");

function move() {
  compare.style.setProperty("--line", `${line.value}%`);
  line.setAttribute("aria-valuetext", TEXT.restored_share.replace("{}", 100 - line.value));
}

compare.closest(".result").style.setProperty("--shape", picture.getAttribute("width") / picture.getAttribute("height"));
compare.classList.add("over");
line.hidden = false;
line.addEventListener("input", move);
move();
