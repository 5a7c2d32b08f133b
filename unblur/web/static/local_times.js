// Brings the times of a page to the reader's zone; without this they stand there in UTC.

for (const time of document.querySelectorAll("time[datetime]")) {
  const moment = new Date(time.dateTime);
  if (isNaN(moment)) continue;
  time.title = time.textContent.trim();
  time.textContent =
    time.dataset.show === "time"
      ? moment.toLocaleTimeString()
      : moment.toLocaleString([], { dateStyle: "medium", timeStyle: "medium" });
}
