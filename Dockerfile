# bahi, and nothing else: a static binary that runs as nobody.
FROM golang:1.26 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /bahi ./cmd/bahi
RUN mkdir -p /volumes/data /volumes/keys

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /bahi /bahi
# The data and the keys are two volumes, so that a backup of one never holds the
# other. They begin as directories of the user that bahi runs as.
COPY --from=build --chown=nonroot:nonroot /volumes/ /
VOLUME ["/data", "/keys"]
EXPOSE 8080
ENTRYPOINT ["/bahi"]
CMD ["serve", "--data", "/data/ledger", "--keys", "/keys/ledger", "--listen", "0.0.0.0:8080", "--plain-http"]
