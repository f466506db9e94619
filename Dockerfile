# Two targets: cpu (the default) and gpu. Both hold the service, its models and its pinned packages; TensorFlow is in
# neither.
#
# The tag below moves with each release of Python 3.13 and of Debian. No digest stands here, since one is only worth
# what was tried with it. `docker buildx imagetools inspect python:3.13-slim` prints today's, and
#   docker build --build-arg BASE=python:3.13-slim@sha256:<what it printed> .
# builds on that alone. To pin it for everybody, write it behind the tag here, and renew it with the pinned packages.
ARG BASE=python:3.13-slim

FROM ${BASE} AS service
# A port above 1024, a user without a name or a home, and nothing written anywhere but to /tmp.
ENV PYTHONPATH=/srv/service:/opt/packages \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    DENOISE_HOST=0.0.0.0 \
    DENOISE_PORT=8000
WORKDIR /srv
COPY models models
COPY service service
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"DENOISE_PORT\"]}/readyz', timeout=2)"]
ENTRYPOINT ["python", "-m", "denoise"]
# REVISION is the commit that the image is made from; `make image` tells it.
ARG BASE
ARG REVISION=""
LABEL org.opencontainers.image.title="denoise" \
      org.opencontainers.image.description="A web service that cleans noisy pictures of handwritten digits." \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="0.2.0" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"

FROM ${BASE} AS packages-gpu
COPY requirements/cuda.txt .
RUN python -m pip install --no-cache-dir --root-user-action=ignore --target /opt/packages --require-hashes --requirement cuda.txt

FROM ${BASE} AS packages-cpu
COPY requirements/cpu.txt .
RUN python -m pip install --no-cache-dir --root-user-action=ignore --target /opt/packages --require-hashes --requirement cpu.txt
# What of OpenVINO is for other devices, for other forms of models, or reports to its makers.
RUN cd /opt/packages && rm -rf openvino_telemetry* openvino/include openvino/libs/*intel_gpu* openvino/libs/*intel_npu* openvino/libs/cache.json \
    openvino/libs/*tensorflow* openvino/libs/*pytorch* openvino/libs/*paddle* openvino/libs/*jax* openvino/libs/*gguf*

# CUDA and cuDNN come as Python packages; the NVIDIA container runtime adds the driver of the host.
FROM service AS gpu
ENV NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
COPY --from=packages-gpu /opt/packages /opt/packages

FROM service AS cpu
COPY --from=packages-cpu /opt/packages /opt/packages
