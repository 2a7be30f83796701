# Inlook for strangers in a container, on port 7860 as Hugging Face Spaces expect it:
#   docker build -t inlook . && docker run --read-only --tmpfs /tmp -m 3g -p 7860:7860 -e INLOOK_HOSTS=... inlook
FROM python:3.13-slim

WORKDIR /opt/inlook
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt
RUN apt-get update && apt-get install -y --no-install-recommends haproxy && rm -rf /var/lib/apt/lists/*
COPY . .

RUN useradd --create-home --uid 1000 inlook
USER inlook
ENV HOME=/tmp INLOOK_PUBLIC=1 INLOOK_PROCESSES=2 \
    HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=1
EXPOSE 7860
HEALTHCHECK --start-period=60s CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:7860/healthz')"]
CMD ["python", "-m", "hosting", "--port", "7860"]
