package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Println("served from scratch,", len(os.Args), "argument")
}
