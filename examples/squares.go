// Squares, each worked out by a goroutine of its own.
package main

import "fmt"

func main() {
	squares := make([]int, 5)
	done := make(chan bool)
	for i := range squares {
		go func(i int) {
			squares[i] = i * i
			done <- true
		}(i)
	}
	for range squares {
		<-done
	}
	fmt.Println(squares)
}
