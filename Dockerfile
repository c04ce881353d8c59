# One image for every part of Labqueue; docker-compose.yml says which part each container is.
#
# The usual torch carries CUDA on x86-64 Linux, so the same image trains on CPU and GPU. Where no GPU will ever be
# used, PIP_ARGS (options for pip) can point to CPU builds, which makes it some gigabytes smaller.
FROM python:3.12-slim

ARG PIP_ARGS=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONPATH=/opt/labqueue \
    PYTHONUNBUFFERED=1

RUN useradd --uid 10001 --create-home labqueue \
    && install -d -o labqueue -g labqueue /data

WORKDIR /srv/labqueue

# The large libraries first: they change least.
COPY constraints.txt ./
RUN pip install ${PIP_ARGS} -c constraints.txt torch botorch pandas scipy

COPY pyproject.toml ./
COPY sdk ./sdk
COPY services ./services
COPY workers ./workers
COPY models ./models
COPY migrations ./migrations
RUN pip install ${PIP_ARGS} -c constraints.txt ./sdk ".[learn]"
COPY examples /opt/labqueue/examples

USER labqueue
WORKDIR /home/labqueue
EXPOSE 8000
CMD ["python", "-m", "services.api"]
