package engineutil

import "net"

// endWriting tells a server that its client sends no more; the server may still answer.
func endWriting(conn net.Conn) {
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil {
		conn.Close()
	}
}
