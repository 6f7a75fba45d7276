# docker build --target cpu -t likeness .        (or --target gpu)
# docker run --read-only -p 8000:8000 likeness

FROM python:3.11-slim AS build-cpu
WORKDIR /likeness
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY export export
COPY service service
COPY training training
RUN python -m venv /venv \
    && /venv/bin/pip install --no-cache-dir --constraint constraints.txt '.[cpu]'

FROM python:3.11-slim AS cpu
# A number, so that Kubernetes can prove that it is not root.
USER 10001:10001
WORKDIR /likeness
COPY --from=build-cpu /venv /venv
COPY models models
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/livez', timeout=2)"]
ENTRYPOINT ["likeness"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000"]
