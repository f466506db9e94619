"""What can go wrong, as exceptions that know no HTTP; the message is a sentence for whoever can mend it."""


class SetupError(Exception):
    """The service cannot start: for the operator, with the path, the setting or the device in the message."""


class RequestError(Exception):
    """A request cannot be answered: for the caller, with the offending value and the limit in the message."""


class BrokenBody(RequestError):
    """The body is not what its type says: cut, damaged, or badly encoded."""


class UnknownModel(RequestError):
    """No model has that name."""


class NotAcceptable(RequestError):
    """The answer cannot be had in any kind the caller accepts."""


class TooLarge(RequestError):
    """More bytes, pixels or files than the limits allow."""


class UnsupportedKind(RequestError):
    """A body type, or bytes, that are no image kind the service takes."""


class BadParameter(RequestError):
    """A parameter is outside its choices, or does not fit the model."""


class BadTensor(RequestError):
    """Tensors that do not add up, or do not fit the model."""


class Draining(RequestError):
    """The service is about to stop."""


class DeviceFailed(RequestError):
    """The GPU that runs a model failed, was taken away, or has no memory left."""


class Unauthorized(RequestError):
    """A key is needed, and the request has none or a wrong one."""


class Busy(RequestError):
    """As many pictures, bytes or seconds of work are inside as may be."""


class Late(RequestError):
    """The deadline passed before a picture was done."""
