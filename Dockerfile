# The server with the bundled model, without torch.
#   docker build -t posetalk .
#   docker run --rm --read-only --tmpfs /tmp --cap-drop ALL -p 127.0.0.1:8000:8000 posetalk
# `.ci/container` runs the RUN lines, the health check and the command in a fresh environment; an engine did not run it.
FROM python:3.12-slim AS build
WORKDIR /build
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir dist .

FROM python:3.12-slim
COPY --from=build /build/dist /dist
COPY constraints.txt /dist/
RUN pip install --no-cache-dir --constraint /dist/constraints.txt "$(ls /dist/*.whl)[serve]"
RUN useradd --system --uid 10001 --no-create-home --shell /usr/sbin/nologin posetalk
USER 10001
ENV PYTHONDONTWRITEBYTECODE=1
EXPOSE 8000
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
# inside a container 0.0.0.0 is the container's own network: `docker run -p` says who reaches it
CMD ["posetalk", "serve", "--host", "0.0.0.0", "--port", "8000"]
