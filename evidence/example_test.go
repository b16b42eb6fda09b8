package evidence_test

import (
	"fmt"
	"os"

	"bahi/evidence"
)

// An auditor has a receipt, a checkpoint that was kept from an earlier day, and the
// ledger's public key, which came by another way than the receipt.
func ExampleReceipt_Check() {
	keys, err := evidence.ParseKeys("bahi/5f0c8e21+89adf35d+AYqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c")
	if err != nil {
		fmt.Println(err)
		return
	}
	text, err := os.ReadFile("testdata/freeze.receipt")
	if err != nil {
		fmt.Println(err)
		return
	}
	receipt, err := evidence.ParseReceipt(text)
	if err != nil {
		fmt.Println(err)
		return
	}
	signed, err := os.ReadFile("testdata/checkpoint.note")
	if err != nil {
		fmt.Println(err)
		return
	}
	kept, err := evidence.OpenCheckpoint(signed, keys)
	if err != nil {
		fmt.Println(err)
		return
	}
	found, err := receipt.Check(keys, &kept)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("%d people of district %d are frozen; all %d holders have acknowledged\n", found.Claims.People, found.Claims.District, found.Enrolled)
	fmt.Printf("the ledger continues the kept checkpoint: %t\n", found.Continues)
	// Output:
	// 5 people of district 208 are frozen; all 2 holders have acknowledged
	// the ledger continues the kept checkpoint: true
}
