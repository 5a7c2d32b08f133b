// Shows the times of a page in the browser's time zone; without this script they are in UTC.

for (const time of document.querySelectorAll("time[datetime]")) {
  const moment = new Date(time.dateTime);
  if (isNaN(moment)) continue;
  time.title = time.textContent.trim();
  time.textContent =
    time.dataset.show === "time"
      ? moment.toLocaleTimeString()
      : moment.toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
}
