"""A process that tells a broker that it is there, and goes on until it is killed."""

import sys
import threading

from configs.schema import Mqtt as Settings
from unblur.notify.mqtt import Mqtt

telling = Mqtt(Settings(host="127.0.0.1", port=int(sys.argv[1])))
telling.open(["lobby"])
threading.Event().wait()
