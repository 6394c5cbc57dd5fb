package pgserver

import (
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"

	"heartbeat/internal/embedded/datadir"
)

// fallbackUID is the user "nobody", for machines without a user "postgres".
const fallbackUID = 65534

// account is the user that PostgreSQL runs as. A nil account is the user of this process.
type account struct {
	name     string
	uid, gid uint32
}

// serverAccount returns the user that the server for the data in dir runs as: this process's user, or another one if that is
// root, as which PostgreSQL refuses to run. Existing data keeps its owner.
func serverAccount(dir string) *account {
	if os.Geteuid() != 0 {
		return nil
	}
	if info, err := os.Stat(dir); err == nil {
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != 0 {
			return &account{name: strconv.Itoa(int(stat.Uid)), uid: stat.Uid, gid: stat.Gid}
		}
	}
	known, err := user.Lookup("postgres")
	if err != nil {
		return &account{name: "nobody", uid: fallbackUID, gid: fallbackUID}
	}
	uid, uidErr := strconv.ParseUint(known.Uid, 10, 32)
	gid, gidErr := strconv.ParseUint(known.Gid, 10, 32)
	if uidErr != nil || gidErr != nil || uid == 0 {
		return &account{name: "nobody", uid: fallbackUID, gid: fallbackUID}
	}
	return &account{name: known.Username, uid: uint32(uid), gid: uint32(gid)}
}

func (a *account) credential() *syscall.Credential {
	if a == nil {
		return nil
	}
	return &syscall.Credential{Uid: a.uid, Gid: a.gid}
}

// createDir creates a directory that only the account can read, and checks that the account can reach it.
func (a *account) createDir(dir string) error {
	if err := datadir.Create(dir); err != nil {
		return err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		return err
	}
	if a == nil {
		return nil
	}
	if err := os.Lchown(dir, int(a.uid), int(a.gid)); err != nil {
		return err
	}
	return a.checkPath(dir)
}

// checkPath checks that the account may enter every directory above dir.
func (a *account) checkPath(dir string) error {
	if a == nil {
		return nil
	}
	resolved, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return err
	}
	for parent := filepath.Dir(resolved); ; parent = filepath.Dir(parent) {
		info, err := os.Stat(parent)
		if err != nil {
			return err
		}
		if !a.mayEnter(info) {
			return fmt.Errorf("user %s, which PostgreSQL runs as because root may not, cannot pass %s (mode %04o): choose a directory elsewhere, such as %s",
				a.name, parent, info.Mode().Perm(), datadir.Root)
		}
		if parent == filepath.Dir(parent) {
			return nil
		}
	}
}

func (a *account) mayEnter(info os.FileInfo) bool {
	mode := info.Mode().Perm()
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case ok && stat.Uid == a.uid:
		return mode&0o100 != 0
	case ok && stat.Gid == a.gid:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}
