# docker build -t likeness .                      the service on a CPU
# docker build --target gpu -t likeness:gpu .     with CUDA; docker run --gpus all ...
# docker run --read-only -p 8000:8000 likeness

FROM python:3.11-slim AS build-cpu
WORKDIR /likeness
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY export export
COPY service service
COPY training training
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --constraint constraints.txt '.[cpu,tracing]'

# ONNX Runtime's wheel for GPUs wants CUDA 13 and cuDNN 9, which this image has.
FROM nvidia/cuda:13.0.1-cudnn-runtime-ubuntu24.04 AS gpu
RUN apt-get update \
    && apt-get install --yes --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /likeness
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY export export
COPY service service
COPY training training
RUN python3 -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --constraint constraints.txt '.[gpu,tracing]'
COPY models models
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# A number, so that Kubernetes can see that it is not root.
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]
ENTRYPOINT ["likeness"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]

# Last, so that it is what a build without --target makes.
FROM python:3.11-slim AS cpu
WORKDIR /likeness
COPY --from=build-cpu /venv /venv
COPY models models
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=60s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]
ENTRYPOINT ["likeness"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
