"""One named lock across machines, kept in a DynamoDB table or in a local directory: libawsflock for Python.

    import awsflock

    with awsflock.lock("prod-deploy", wait=600) as lease:
        deploy(fence=lease.fence)

The lease is renewed in the background while the block runs, and released when it ends.  Where the lease is lost, the
block is interrupted before anybody else can get the lock, and the with statement raises awsflock.Lost.

Names, settings and errors are those of libawsflock(3) and awsflock.conf(5).  It needs libawsflock.so.1 where the loader
finds it, and nothing else.  SPDX-License-Identifier: Apache-2.0
"""
import contextlib
import ctypes
import os
import signal
import threading

__all__ = ["lock", "status", "version", "FOREVER", "Lease", "Status", "Error", "Held", "Lost", "TimedOut", "Cancelled", "Invalid",
           "Config", "Credentials", "Access", "NoTable", "BadTable", "BadItem", "Unreachable", "TLS", "Throttled",
           "ClockSkew", "Protocol", "Storage", "Memory", "Internal"]

FOREVER = -1  # as wait: until the lock is free


# ---- Errors --------------------------------------------------------------------------------------------------------


class Error(Exception):
    """What a call of the library ended with: a sentence for a person, and what a program asks for."""

    def __init__(self, message, outcome_unknown=False):
        super().__init__(message)
        self.outcome_unknown = outcome_unknown  # the request may have been carried out all the same


class Held(Error):
    """Somebody else holds the lock, and no wait was asked for."""


class Lost(Error):
    """The lease does not hold the lock any more, or is about to."""


class TimedOut(Error):
    """Somebody else held the lock until the wait was over."""


class Cancelled(Error):
    pass


class Invalid(Error):
    pass


class Config(Error):
    pass


class Credentials(Error):
    pass


class Access(Error):
    pass


class NoTable(Error):
    pass


class BadTable(Error):
    pass


class BadItem(Error):
    pass


class Unreachable(Error):
    pass


class TLS(Error):
    pass


class Throttled(Error):
    pass


class ClockSkew(Error):
    pass


class Protocol(Error):
    pass


class Storage(Error):
    pass


class Memory(Error):
    pass


class Internal(Error):
    pass


_ERRORS = {1: Held, 2: Lost, 3: TimedOut, 4: Cancelled, 16: Invalid, 17: Config, 18: Credentials, 19: Access,
           20: NoTable, 21: BadTable, 22: BadItem, 23: Unreachable, 24: TLS, 25: Throttled, 26: ClockSkew,
           27: Protocol, 28: Storage, 29: Memory, 30: Internal}


# ---- The library ---------------------------------------------------------------------------------------------------


class _Error(ctypes.Structure):
    _fields_ = [("code", ctypes.c_int), ("system_errno", ctypes.c_int), ("http_status", ctypes.c_long),
                ("outcome_unknown", ctypes.c_bool), ("message", ctypes.c_char * 1024), ("detail", ctypes.c_int64),
                ("reserved", ctypes.c_int64 * 7)]


class _Status(ctypes.Structure):
    _fields_ = [("lock", ctypes.c_char_p), ("held", ctypes.c_bool), ("lease_id", ctypes.c_char_p),
                ("owner", ctypes.c_char_p), ("fence", ctypes.c_uint64), ("lease_duration", ctypes.c_int64),
                ("expiration_time", ctypes.c_int64), ("acquired_time", ctypes.c_int64),
                ("remaining_seconds", ctypes.c_int64), ("user", ctypes.c_char_p), ("host", ctypes.c_char_p),
                ("tty", ctypes.c_char_p), ("service", ctypes.c_char_p), ("rhost", ctypes.c_char_p),
                ("purpose", ctypes.c_char_p), ("pid", ctypes.c_int64), ("broken_by", ctypes.c_char_p),
                ("broken_time", ctypes.c_int64)]


class _AcquireOptions(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("lease_seconds", ctypes.c_int64), ("wait_ms", ctypes.c_int64),
                ("owner", ctypes.c_char_p), ("purpose", ctypes.c_char_p), ("user", ctypes.c_char_p),
                ("tty", ctypes.c_char_p), ("service", ctypes.c_char_p), ("rhost", ctypes.c_char_p),
                ("waiting", ctypes.c_void_p), ("waiting_arg", ctypes.c_void_p), ("pid", ctypes.c_int64), ("hold_seconds", ctypes.c_int64)]


_POINTER = ctypes.POINTER(ctypes.c_void_p)
_ERROR = ctypes.POINTER(_Error)
_PROTOTYPES = {
    "awsflock_new": (ctypes.c_int, _POINTER, _ERROR),
    "awsflock_free": (None, _POINTER),
    "awsflock_load_config": (ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, _ERROR),
    "awsflock_set": (ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p, _ERROR),
    "awsflock_set_stop_fd": (None, ctypes.c_void_p, ctypes.c_int),
    "awsflock_inspect": (ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(ctypes.POINTER(_Status)), _ERROR),
    "awsflock_status_free": (None, ctypes.POINTER(ctypes.POINTER(_Status))),
    "awsflock_acquire": (ctypes.c_int, ctypes.c_void_p, ctypes.c_char_p, ctypes.POINTER(_AcquireOptions), _POINTER, _ERROR),
    "awsflock_release": (ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, _ERROR),
    "awsflock_keepalive": (ctypes.c_int, ctypes.c_void_p, ctypes.c_int64, _ERROR),
    "awsflock_lease_free": (None, _POINTER),
    "awsflock_lease_fence": (ctypes.c_uint64, ctypes.c_void_p),
    "awsflock_lease_remaining_ms": (ctypes.c_int64, ctypes.c_void_p),
    "awsflock_lease_seconds": (ctypes.c_int64, ctypes.c_void_p),
    "awsflock_parse_duration": (ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(ctypes.c_int64), _ERROR),
    "awsflock_version": (ctypes.c_char_p,),
}


def _load():
    library = ctypes.CDLL("libawsflock.so.1")
    for name, (result, *arguments) in _PROTOTYPES.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


_library = _load()


def _call(name, *arguments):
    """Calls a function that takes an awsflock_error last; raises where it fails."""
    error = _Error()
    code = getattr(_library, name)(*arguments, ctypes.byref(error))
    if code != 0:
        raise _ERRORS.get(code, Error)(error.message.decode("utf-8", "replace"), error.outcome_unknown)


def _bytes(value):
    return None if value is None else str(value).encode()


def _setting(value):
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)


class _Context:
    """An awsflock with its settings, and whatever stops a call in it; freed by whoever made it."""

    def __init__(self, config, settings):
        self.pointer = ctypes.c_void_p()
        _call("awsflock_new", ctypes.byref(self.pointer))
        self._stop_reader, self._stop_writer = os.pipe()
        os.set_blocking(self._stop_reader, False)
        _library.awsflock_set_stop_fd(self.pointer, self._stop_reader)
        try:
            _call("awsflock_load_config", self.pointer, _bytes(config))
            for key, value in settings.items():
                _call("awsflock_set", self.pointer, key.encode(), _setting(value).encode())
        except BaseException:
            self.free()
            raise

    def free(self):
        _library.awsflock_free(ctypes.byref(self.pointer))
        os.close(self._stop_reader)
        os.close(self._stop_writer)

    def start(self, function, *arguments):
        """A thread that runs FUNCTION, which is in the library until it is done or told to stop by finish()."""
        thread = threading.Thread(target=function, args=arguments, name="awsflock", daemon=True)
        thread.start()
        return thread

    def finish(self, thread):
        """Tells the thread to stop and waits for it.  Returns what a signal's handler raised meanwhile, or None."""
        raised = None
        while True:
            try:
                if thread.is_alive():
                    os.write(self._stop_writer, b".")
                    thread.join()
                with contextlib.suppress(BlockingIOError):
                    os.read(self._stop_reader, 1024)
                return raised
            except BaseException as error:
                raised = error

    def interruptible(self, name, *arguments):
        """A call that ends with whatever a signal's handler raises meanwhile: a thread makes it, as Python runs handlers
        only when a call has returned."""
        failures = []

        def make_it():
            try:
                _call(name, *arguments)
            except Error as error:
                failures.append(error)

        thread = self.start(make_it)
        try:
            thread.join()
        except BaseException:
            self.finish(thread)
            raise
        if failures:
            raise failures[0]


# ---- What programs use ---------------------------------------------------------------------------------------------


def version():
    """The library's version."""
    return _library.awsflock_version().decode()


def _seconds(value):
    """A number of seconds, or a duration such as "15m"."""
    if not isinstance(value, str):
        return value
    seconds = ctypes.c_int64()
    _call("awsflock_parse_duration", value.encode(), ctypes.byref(seconds))
    return seconds.value


class Status:
    """What one lock looks like: the members of awsflock_status."""

    def __init__(self, found):
        for name, _ in _Status._fields_:
            value = getattr(found, name)
            setattr(self, name, value.decode("utf-8", "replace") if isinstance(value, bytes) else value)

    def __repr__(self):
        return f"<awsflock.Status {self.lock!r}: {'held by ' + self.owner if self.held else 'free'}>"


def status(name, *, config=None, **settings):
    """Who holds the lock NAME.  CONFIG and SETTINGS as for lock()."""
    context = _Context(config, settings)
    found = ctypes.POINTER(_Status)()
    try:
        context.interruptible("awsflock_inspect", context.pointer, _bytes(name), ctypes.byref(found))
        return Status(found.contents)
    finally:
        _library.awsflock_status_free(ctypes.byref(found))
        context.free()


class Lease:
    """One holding of a lock, from the beginning of a with statement to its end; lock() makes it."""

    def __init__(self, name, options, stop, on_lost, config, settings):
        self.name = name
        self.fence = 0  # greater than every earlier grant's of this lock
        self._options, self._stop, self._on_lost, self._config, self._settings = options, stop, on_lost, config, settings
        self._context = None
        self._pointer = ctypes.c_void_p()
        self._loss = None
        self._interrupts = False
        self._is_over = threading.Event()  # the block is: nobody is to interrupt what follows it
        self._thread = None
        self._process = 0

    def remaining(self):
        """The seconds in which the holder may act; 0 where the lease is lost."""
        if self._loss is not None or not self._pointer or self._process != os.getpid():
            return 0.0
        return _library.awsflock_lease_remaining_ms(self._pointer) / 1000

    def check(self):
        """Raises Lost where the lease is lost: call it before each step that must not be done without the lock."""
        if self._loss is not None:
            raise self._loss
        if self.remaining() <= 0:
            raise Lost(f"the lease of '{self.name}' has ended")

    def __enter__(self):
        self._loss = None
        self._is_over.clear()
        self._process = os.getpid()
        self._context = context = _Context(self._config, self._settings)
        try:
            context.interruptible("awsflock_acquire", context.pointer, _bytes(self.name), ctypes.byref(self._options),
                                  ctypes.byref(self._pointer))
            self.fence = _library.awsflock_lease_fence(self._pointer)
            self._start_renewing(self._time_to_stop())
        except BaseException:
            self._give_back()
            raise
        return self

    def __exit__(self, kind, value, traceback):
        if self._process != os.getpid():
            return False  # a child that was forked in the block: the lease, its thread and its connection are the parent's
        self._is_over.set()
        interruption = self._context.finish(self._thread)
        try:
            _call("awsflock_release", self._pointer, 0)  # after an eviction too: the block has ended, and others may go on
        except Error:
            if self._loss is None:
                raise
        finally:
            self._free()
        # The interruption of the block was the loss; another exception of the block's own goes on.
        if self._loss is not None and (kind is None or (self._interrupts and kind is KeyboardInterrupt)):
            raise self._loss from None
        if self._loss is None and interruption is not None:
            raise interruption
        return False

    def _time_to_stop(self):
        """In milliseconds."""
        seconds = _library.awsflock_lease_seconds(self._pointer)
        if self._stop is None:
            return min(5000, seconds * 1000 // 3)
        if self._stop * 3 > seconds:
            raise Invalid(f"a block that needs {self._stop} seconds to stop needs a lease of three times that, not of {seconds}")
        return int(self._stop * 1000)

    def _start_renewing(self, stop_ms):
        self._interrupts = self._on_lost is None and threading.current_thread() is threading.main_thread()
        self._thread = self._context.start(self._renew, stop_ms)

    def _renew(self, stop_ms):
        try:
            _call("awsflock_keepalive", self._pointer, stop_ms)
        except Cancelled:
            return
        except Error as error:
            self._loss = error if isinstance(error, Lost) else Lost(str(error))
        if self._on_lost is not None:
            self._on_lost(self)
        elif self._interrupts and not self._is_over.is_set():
            # A signal, since the block may be waiting in a system call.
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)

    def _give_back(self):
        """After a failure before the block: nothing stays taken."""
        try:
            if self._pointer:
                _call("awsflock_release", self._pointer, 0)
        except Error:
            pass  # the first failure is the one to be told; the lease ends by itself
        finally:
            self._free()

    def _free(self):
        _library.awsflock_lease_free(ctypes.byref(self._pointer))
        self._context.free()


def lock(name, *, wait=0, lease=60, stop=None, owner=None, purpose=None, on_lost=None, config=None, **settings):
    """A with statement's block in which this program holds the lock NAME.

    WAIT      seconds, or a duration such as "15m", to wait for it; 0 is one try (Held), FOREVER waits until it is free
    LEASE     seconds or a duration after which a crashed holder's lock is free; 0: the configuration's, hours perhaps
    STOP      seconds or a duration that the block needs to stop its work, a third of the lease at most; without it 5, or
              that third where it is less
    OWNER     who is shown as its holder; PURPOSE: what for
    ON_LOST   called with the lease, in another thread, when it is lost, STOP seconds before anybody else can get the
              lock; without it the main thread's block is interrupted (KeyboardInterrupt, told as Lost), and a block in
              another thread must ask lease.check()
    CONFIG    a configuration file; without it the system's, the user's and the environment count
    SETTINGS  keys of awsflock.conf(5), such as table="locks", store="local"
    """
    wait, lease, stop = _seconds(wait), _seconds(lease), _seconds(stop)
    options = _AcquireOptions(size=ctypes.sizeof(_AcquireOptions), lease_seconds=int(lease),
                              wait_ms=FOREVER if wait == FOREVER else int(wait * 1000), owner=_bytes(owner),
                              purpose=_bytes(purpose))
    return Lease(name, options, stop, on_lost, config, settings)
