"""A process that posts events to a webhook until it is killed."""

import itertools
import sys

from configs.schema import Webhook as Settings
from stream.storage.database import DURABLE, connect
from tests.stream.support.events import an_event
from unblur.notify.webhook import WebhookNotifier, WebhookTiming

url, database, secret = sys.argv[1:]
settings = Settings.model_validate({"name": "door", "url": url, "secret": secret})
hook = WebhookNotifier(settings, connect(database, DURABLE), WebhookTiming(first_retry_s=0.01, longest_retry_s=0.02))
hook.open(["lobby"])
for number in itertools.count():
    hook.write(an_event(number))
    if not sys.stdin.readline():  # a line from the test requests the next event; its end stops the loop
        break
