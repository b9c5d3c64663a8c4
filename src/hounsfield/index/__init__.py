"""What is stored, and where: patients, studies, series, instances, and everything asked about them.

The only room that speaks SQL. `database.Database` gives transactions; operations are functions over them.
"""
