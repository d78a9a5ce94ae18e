// Prints a new RSA key in PEM: what the tests' kube-apiserver signs ServiceAccount tokens with.
// Go is needed anyway for the servers; this spares a fresh machine OpenSSL.
package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"log"
	"os"
)

func main() {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		log.Fatal(err)
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	if err := pem.Encode(os.Stdout, block); err != nil {
		log.Fatal(err)
	}
}
