# syntax=docker/dockerfile:1
# Two stages: what builds stays behind. Debian, because some wheels are not made for musl.
# Validated as text by tests/deploy; not built in CI.

FROM python:3.11.13-slim-bookworm AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_CONSTRAINT=/src/requirements.lock
WORKDIR /src
# The virtual environment has no pip of its own: nothing in the final image installs anything.
RUN python -m venv --without-pip /opt/vigie
COPY requirements.lock pyproject.toml README.md LICENSE ./
COPY rules ./rules
COPY proxy ./proxy
RUN python -m pip --python /opt/vigie/bin/python install --no-compile . \
    && /opt/vigie/bin/python -m compileall -q /opt/vigie/lib

FROM python:3.11.13-slim-bookworm
RUN groupadd --system --gid 10001 vigie \
    && useradd --system --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin vigie \
    && install --directory --owner=10001 --group=10001 --mode=0750 /var/lib/vigie \
    && python -m pip uninstall --yes pip setuptools wheel
COPY --from=build /opt/vigie /opt/vigie
ENV PATH=/opt/vigie/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
WORKDIR /var/lib/vigie
USER 10001:10001
# 6432: PostgreSQL's protocol. 9187: /metrics, /healthz, /readyz; keep it in a private network.
EXPOSE 6432 9187
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=20s --retries=12 \
    CMD ["/opt/vigie/bin/python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:9187/readyz', timeout=2)"]
ENTRYPOINT ["/opt/vigie/bin/vigie"]
CMD ["run", "--help"]
