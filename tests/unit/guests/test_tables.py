# SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.hypersdk.hyper2kvm.tests.guests import cells, tables
from ansible_collections.hypersdk.hyper2kvm.tests.guests.cells import Cell, Conversion

PLACES = (
    "# Guests\n\n<!-- table boot -->\nold\n<!-- end -->\nbetween\n<!-- table repairs -->\n<!-- end -->\n"
    "<!-- table network -->\n<!-- end -->\nlast\n"
)


@pytest.fixture
def document(tmp_path: Path) -> Path:
    path = tmp_path / "guests.md"
    path.write_text(PLACES, encoding="utf-8")
    return path


def row(document: Path, start: str) -> list[str]:
    (line,) = (
        line
        for line in document.read_text(encoding="utf-8").splitlines()
        if line.startswith(f"| {start}")
    )
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_what_was_not_run_is_empty(document: Path, tmp_path: Path) -> None:
    tables.write(document, tmp_path / "results")
    assert row(document, "BIOS, root on LVM")[1:] == ["", "", "", ""]
    assert row(document, "netplan, by name")[1:] == ["", "", ""]
    text = document.read_text(encoding="utf-8")
    assert "old" not in text
    assert text.startswith("# Guests\n") and "\nbetween\n" in text and text.endswith("\nlast\n")


def test_cells_say_what_the_records_do(document: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    guest = "debian-btrfs"
    records: list[Cell | Conversion] = [
        Cell(guest, cells.UNTOUCHED, "", "", stopped="(initramfs)"),
        Conversion(guest, cells.ALONE, "", "success", 1.0, True, [], []),
        Cell(guest, cells.ALONE, "", "", stopped="Kernel panic"),
        Conversion(
            guest,
            cells.OURS,
            "",
            "success",
            1.0,
            True,
            [
                *["Put back a network file that hyper2kvm had changed"] * 2,
                "Listed a, b, c again, which hyper2kvm had made part of a comment",
                "Named the filesystem on /srv UUID=1 instead of /dev/sdb1, since it is so",
                "Did a|b",
            ],
            [],
        ),
        Cell(guest, cells.OURS, "", "", login=True, answers={"ens192": "lvm01"}, data_intact=True),
        Cell("debian-ways", cells.BEFORE, "nm-mac", "", login=True, answers={"ens192": "ways01"}),
        Cell(
            *("debian-ways", cells.ALONE, "nm-mac", ""),
            login=True,
            answers={"ens192": "ways01", "ens224": ""},
        ),
        Cell("debian-ways", cells.OURS, "nm-mac", "", stopped="(initramfs)"),
    ]
    for record in records:
        cells.save(results, record)
    tables.write(document, results)
    text = document.read_text(encoding="utf-8")
    assert (
        "| stops: `(initramfs)` | says success; stops: `Kernel panic`"
        " | boots, data intact, answers |" in text
    )
    # Only what was repaired has a row; guests that were not converted have empty columns.
    for start, cell in {
        "listed again for": "`a`, `b` and 1 more",
        "name that ends": "`/dev/sdb1`",
        "network files put back": "2",
    }.items():
        assert [each for each in row(document, start)[1:] if each] == [cell]
    assert "| Did a\\|b |" in text
    assert "names pinned" not in text
    assert row(document, "NetworkManager keyfiles, by MAC")[1:] == [
        "answers: ens192",
        "**silent: ens224**; answers: ens192",
        "does not boot",
    ]


def test_a_refused_conversion_and_lost_data_are_said(document: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    cells.save(
        results,
        Conversion(
            *("debian-lvm", cells.OURS, ""),
            f"no driver in {results}/x. Its log: {results}/log.\nMore",
            *(1.0, False, [], []),
        ),
    )
    cells.save(results, Cell("debian-btrfs", cells.OURS, "", "", login=True))
    mounted = {"mount": ["/srv/data /dev/vdb1 ext4 rw"]}
    cells.save(results, Cell("debian-selinux", cells.OURS, "", "", login=True, facts=mounted))
    tables.write(document, results)
    assert row(document, "BIOS, root on LVM")[4] == "refused: no driver in …/x"
    assert (
        row(document, "BIOS, btrfs, root on subvolume @")[4]
        == "boots, **data disk not mounted when services start**, answers"
    )
    assert row(document, "BIOS, ext4, SELinux")[4] == "boots, **data not as it was**, answers"


def test_what_a_guest_lost_is_said(document: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    labels = ["/etc/fstab system_u:object_r:etc_t:s0", "/etc/hosts system_u:object_r:net_conf_t:s0"]
    well = {"enforce": ["1"], "label": labels, "failed": ["old.service"]}
    ill = {"enforce": ["0"], "label": labels[:1], "failed": ["old.service", "new.service"]}
    guest = "debian-selinux"
    before = Cell(guest, cells.BEFORE, "", "", login=True, data_intact=True, facts=well)
    cells.save(results, before)
    cells.save(results, Cell(guest, cells.ALONE, "", "", True, data_intact=True, facts=ill))
    cells.save(results, Cell(guest, cells.OURS, "", "", True, data_intact=True, facts=well))
    tables.write(document, results)
    _title, on_esxi, _untouched, alone, ours = row(document, "BIOS, ext4, SELinux")
    assert on_esxi == "boots, data intact, answers"
    assert alone == (
        "boots, data intact, answers, **new.service fails**, **SELinux does not enforce**,"
        " **label of /etc/hosts lost**"
    )
    assert ours == "boots, data intact, answers, enforcing, every label as before"


def test_a_document_without_its_places_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "guests.md"
    path.write_text("# Guests\n", encoding="utf-8")
    with pytest.raises(ValueError, match="boot"):
        tables.write(path, tmp_path)


@pytest.mark.parametrize(
    ("cell", "good"),
    [
        (Cell("g", "ours", "", "", login=True, answers={"a": "x"}, data_intact=True), True),
        (Cell("g", "ours", "", "", login=False, answers={"a": "x"}, data_intact=True), False),
        (Cell("g", "ours", "", "", login=True, answers={"a": ""}, data_intact=True), False),
        (Cell("g", "ours", "", "", login=True, answers={"a": "x"}, data_intact=False), False),
        (
            Cell("g", "ours", "", "", True, answers={"a": "x"}, data_intact=True, extra={"e": ""}),
            False,
        ),
    ],
)
def test_good_means_all_of_it(cell: Cell, good: bool) -> None:
    assert cell.good is good
