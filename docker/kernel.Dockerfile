# What runs in the code interpreter's containers (--sandbox docker). Build from the repository's root:
# docker build -f docker/kernel.Dockerfile -t understudy-kernel .
ARG PYTHON=python:3.12-slim-bookworm
FROM ${PYTHON}

WORKDIR /build
COPY constraints.txt pyproject.toml ./
RUN python -c "import tomllib; \
print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['optional-dependencies']['interpreter'], sep='\n')" \
    > interpreter.txt \
 && python -m pip install --no-cache-dir --constraint constraints.txt --requirement interpreter.txt \
 && python -m compileall -q "$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
 && rm -r /build
WORKDIR /
