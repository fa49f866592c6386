// A lean Go server, as a peer of the benchmark: it verifies HS256 tokens and answers with the same headers and
// metadata as the service does, without logs, metrics or configuration.
package main

import (
	"context"
	"encoding/base64"
	"fmt"
	"log"
	"net"
	"os"

	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"github.com/golang-jwt/jwt/v5"
	"google.golang.org/grpc"
)

const tokenHeader = "approov-token"

type server struct {
	auth.UnimplementedAuthorizationServer
	parser  *jwt.Parser
	keyFunc jwt.Keyfunc
}

func newServer(secret []byte) *server {
	return &server{
		parser:  jwt.NewParser(jwt.WithValidMethods([]string{"HS256"}), jwt.WithExpirationRequired()),
		keyFunc: func(*jwt.Token) (any, error) { return secret, nil },
	}
}

// Check answers as the service does with one policy in mode enforce.
func (s *server) Check(_ context.Context, request *auth.CheckRequest) (*auth.CheckResponse, error) {
	token := tokenOf(request.GetAttributes().GetRequest().GetHttp())
	if token == "" {
		return denied("missing_approov_token"), nil
	}
	claims := jwt.MapClaims{}
	if _, err := s.parser.ParseWithClaims(token, claims, s.keyFunc); err != nil {
		return denied("invalid_token_signature"), nil
	}
	did, _ := claims["did"].(string)
	return allowed(did), nil
}

// tokenOf reads the token from the header map, or from the raw headers that Envoy sends with encode_raw_headers.
func tokenOf(http *auth.AttributeContext_HttpRequest) string {
	if token := http.GetHeaders()[tokenHeader]; token != "" {
		return token
	}
	for _, header := range http.GetHeaderMap().GetHeaders() {
		if header.GetKey() == tokenHeader {
			return string(header.GetRawValue())
		}
	}
	return ""
}

func main() {
	secret, err := base64.StdEncoding.DecodeString(os.Getenv("APPROOV_BASE64_SECRET"))
	if err != nil || len(secret) == 0 {
		log.Fatal("APPROOV_BASE64_SECRET must be a secret in base64")
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	transport := grpc.NewServer(grpc.MaxConcurrentStreams(256))
	auth.RegisterAuthorizationServer(transport, newServer(secret))
	fmt.Printf("{\"msg\":\"serving\",\"grpc\":%q}\n", listener.Addr())
	log.Fatal(transport.Serve(listener))
}
