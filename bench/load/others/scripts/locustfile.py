# A user opens a connection, and sends the next message when the last one came back. With MODE=connections it holds the connection.
import os
import time

import websocket
from locust import User, constant, task

PAYLOAD = "x" * int(os.environ["SIZE"])


class Client(User):
    wait_time = constant(0)

    def on_start(self):
        self.ws = websocket.create_connection(os.environ["URL"])

    def on_stop(self):
        self.ws.close()

    @task
    def echo(self):
        if os.environ["MODE"] == "connections":
            time.sleep(1)
            return
        began = time.perf_counter()
        self.ws.send(PAYLOAD)
        length = len(self.ws.recv())
        took = (time.perf_counter() - began) * 1000
        self.environment.events.request.fire(
            request_type="WS", name="echo", response_time=took, response_length=length, exception=None, context={}
        )
