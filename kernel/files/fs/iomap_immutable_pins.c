// SPDX-License-Identifier: GPL-2.0-only
/*
 * A registration of a sealed file is a reference to it.
 *
 * Somebody pins memory of a sealed file for a long time.  Nobody knows when
 * that ends: unpinning knows the page, but not what the pin was for.  So a file
 * is kept open here, from the first such pin until a worker finds that it is
 * neither mapped nor pinned any more.
 */
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/iomap_immutable.h>
#include <linux/list.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/workqueue.h>

struct seal_pin {
	struct list_head	list;
	struct file		*file;
};

static LIST_HEAD(seal_pins);
/* Taken with mmap_lock held, and before i_mmap_rwsem. */
static DEFINE_MUTEX(seal_pins_lock);

static void seal_pins_work(struct work_struct *work);
static DECLARE_DELAYED_WORK(seal_pins_dwork, seal_pins_work);

static void seal_pins_work(struct work_struct *work)
{
	struct seal_pin *pin, *next;
	LIST_HEAD(ended);

	mutex_lock(&seal_pins_lock);
	list_for_each_entry_safe(pin, next, &seal_pins, list) {
		/*
		 * Whoever pins from here on has a new mapping, and waits for
		 * the mutex.
		 */
		if (!seal_check_holds(file_inode(pin->file)))
			list_move(&pin->list, &ended);
	}
	if (!list_empty(&seal_pins))
		schedule_delayed_work(&seal_pins_dwork, HZ / 10);
	mutex_unlock(&seal_pins_lock);

	list_for_each_entry_safe(pin, next, &ended, list) {
		fput(pin->file);
		kfree(pin);
	}
}

/*
 * Keep a file while memory of it is pinned for a long time.  The caller has a
 * mapping of it, and holds mmap_lock.
 */
int seal_pin_file(struct file *file)
{
	struct seal_pin *pin;
	int ret = 0;

	mutex_lock(&seal_pins_lock);
	list_for_each_entry(pin, &seal_pins, list) {
		if (file_inode(pin->file) == file_inode(file))
			goto out;
	}
	pin = kmalloc(sizeof(*pin), GFP_KERNEL);
	ret = -ENOMEM;
	if (!pin)
		goto out;
	pin->file = get_file(file);
	list_add(&pin->list, &seal_pins);
	schedule_delayed_work(&seal_pins_dwork, HZ / 10);
	ret = 0;
out:
	mutex_unlock(&seal_pins_lock);
	return ret;
}
