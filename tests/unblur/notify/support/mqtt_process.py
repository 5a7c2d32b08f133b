"""A process that is connected to a broker until it is killed."""

import sys
import threading

from configs.schema import Mqtt as Settings
from unblur.notify.mqtt import MqttNotifier

notifier = MqttNotifier(Settings(host="127.0.0.1", port=int(sys.argv[1])))
notifier.open(["lobby"])
threading.Event().wait()
