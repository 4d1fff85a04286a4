"""paho-mqtt, unchanged, through a broker. paho_publishes.py PORT TOPIC COUNT: publishes COUNT readings of quality 1."""

import sys

import paho.mqtt.client as mqtt

port, topic, count = int(sys.argv[1]), sys.argv[2], int(sys.argv[3])
client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
client.max_inflight_messages_set(100)
client.connect("127.0.0.1", port)
client.loop_start()
sent = [
    client.publish(topic, f'{{"time": {1_767_225_600_000 + number}, "speed": {number}.5}}', qos=1)
    for number in range(count)
]
for message in sent:
    message.wait_for_publish(30)
    assert message.is_published(), "the broker acknowledged nothing"
client.disconnect()
client.loop_stop()
print("paho-mqtt: published")
