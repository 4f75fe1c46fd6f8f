"""The runtime from Python."""
import queue
import threading

from tca import _tca

Engine = _tca.Engine


def stream(chat, message, **options):
    """Generator of the answer's text, piece by piece, as Chat.say() makes it; closing it stops the answer."""
    pieces, stopped = queue.Queue(), threading.Event()

    def on_text(text):
        if text:
            pieces.put(text)
        return not stopped.is_set()

    def run():
        try:
            chat.say(message, on_text=on_text, **options)
            pieces.put(None)
        except BaseException as error:  # raised again where the pieces are read
            pieces.put(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while (piece := pieces.get()) is not None:
            if isinstance(piece, BaseException):
                raise piece
            yield piece
    finally:
        stopped.set()
        thread.join()
